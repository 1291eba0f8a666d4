"""`ptrun train`: one training run, or with -m a sweep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ptrun.cli.arguments import (
    Parser,
    add_allow_change_flag,
    add_config_dir_flag,
    add_config_name_flag,
    add_quiet_flag,
    split_run_and_changes,
)
from ptrun.cli.completion import complete
from ptrun.process.signals import interrupt_raised
from ptrun.process.startup import refuse_ranks, resting_collector
from ptrun.terminal import console
from ptrun.version import __version__

if TYPE_CHECKING:
    from ptrun.config.compose import Composer
    from ptrun.config.run_config import RunConfig

HELP = """\
ptrun train [KEY=VALUE ...] [flags]

  model=convnet                 choose a component (ptrun list)
  model.dropout=0.2             change one of its settings (ptrun list models convnet)
  train.epochs=5 seed=1         change the training (settings below)
  experiment=NAME               a recipe (ptrun list experiments)
  resume=auto                   continue the newest unfinished run of this configuration, or start a new one
  resume=RUN                    continue that run (ptrun resume --help)

Flags
  -m, --multirun                a sweep: one run for each combination of comma-separated values, in processes of their
                                own; the same command goes on with a sweep that was stopped (settings: sweep.*, below).
                                sweep=tpe, random, cmaes or gp searches: -m sweep=tpe 'optimizer.lr=interval(0.01, 0.1)'
  -q, --quiet                   print only warnings and errors
  --debug                       show the traceback of an error
  --config-dir DIR              your own YAML files, which replace shipped files of the same name (./conf needs no flag)
  --config-name NAME            start from NAME.yaml instead of train.yaml
  --allow-change KEY            with resume=: change this setting although the run then computes other numbers
  --cfg job|hydra|all           print the composed configuration (with --package PKG, --resolve)
  --info KIND                   Hydra's own report: all, config, defaults, defaults-tree, plugins, searchpath
  -sc, --shell-completion       install=bash|zsh|fish

Settings
"""


def main(argv: list[str]) -> int:
    """Train once, or with -m once for each combination. Returns the exit code."""
    from ptrun.config.folders import conf_folders
    from ptrun.config.spellings import translate

    parser = _parser()
    translated = translate(argv, parser.flags)
    options = parser.parse(translated.words)
    if options.help:
        return print_help()
    if options.shell_completion:
        return complete([options.shell_completion], ())
    for note in translated.notes if not options.quiet else ():
        print(f"note: {note}")
    from ptrun.config.compose import Composer
    from ptrun.config.load import load_config
    from ptrun.runs.start_weights import with_weights_file

    command = ["ptrun", "train", *argv]
    composer = Composer(options.config_name, conf_folders(options.config_dir))
    if options.cfg or options.info:
        return _print_composition(composer, options)
    refuse_ranks()
    if not options.quiet:
        _note_replaced_files(composer.folders)
    if options.multirun:
        from ptrun.sweeps import session as sweep

        with interrupt_raised():
            return sweep.run(composer, options.overrides, command, options.quiet).code
    from ptrun.config.sweep import refuse_settings

    refuse_settings(options.overrides)
    resumed, overrides = _split_resume(options.overrides)
    if resumed not in (None, "auto"):
        return _resume([str(resumed), *overrides], options, command, composer.folders)
    config, as_written = load_config(composer, overrides)
    if resumed == "auto" and _resume_newest(config, options, command, composer.folders):
        return 0
    with_weights_file(config)  # a wrong path is reported before torch is imported

    if not options.quiet:
        _print_first_lines(config, composer)
    with resting_collector():
        from ptrun.runs import session

    session.run(
        session.TrainRequest(config, as_written, options.overrides, command, composer.folders, quiet=options.quiet)
    )
    return 0


def _parser() -> Parser:
    parser = Parser("train", "train.epochs=5")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    add_quiet_flag(parser)
    add_config_dir_flag(parser)
    add_config_name_flag(parser)
    add_allow_change_flag(parser)
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("-p", "--package")
    parser.add_argument("--resolve", action="store_true")
    reports = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
    parser.add_argument("-i", "--info", nargs="?", const="all", choices=reports)
    parser.add_argument("-sc", "--shell-completion")
    return parser


def print_help() -> int:
    """Print the help of `ptrun train` with every setting of conf/train.yaml. Returns 0."""
    from ptrun.config import schema
    from ptrun.config.folders import shipped_conf

    print(HELP, end="")
    files = {"": schema.read(shipped_conf() / "train.yaml")}
    files["sweep."] = schema.read(shipped_conf() / "sweep" / "grid.yaml", "sweep")
    console.table(
        ["  key", "default", "type", "meaning"],
        [
            (f"  {section}{key.name}", key.default_text, key.type.text, key.meaning)
            for section, file in files.items()
            for key in file.keys.values()
        ],
    )
    return 0


def _print_composition(composer: Composer, options: argparse.Namespace) -> int:
    if options.cfg:
        composer.print_config(options.cfg, options.overrides, options.package, options.resolve)
    else:
        composer.print_info(options.info, options.overrides)
    return 0


def _print_first_lines(config: RunConfig, composer: Composer) -> None:
    """Say what begins, because the import of torch takes seconds."""
    for note in composer.notes:
        print(f"note: {note}")
    what = f"model={config.model.name} dataset={config.dataset.name}"
    is_loaded = "torch" in sys.modules  # for a plugin
    print(f"ptrun {__version__}: {what}.{'' if is_loaded else ' Loading torch ...'}", flush=True)


def _note_replaced_files(folders: tuple[Path, ...]) -> None:
    from ptrun.config.folders import replaced_files

    for path in replaced_files(folders):
        print(f"note: {path} replaces the shipped file of the same name.")


def _split_resume(overrides: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take `resume=RUN` out of the overrides: RUN, or None without it, and the other overrides."""
    runs = [text.removeprefix("resume=") for text in overrides if text.startswith("resume=")]
    return (runs[0] if runs else None), [text for text in overrides if not text.startswith("resume=")]


def _resume(words: Sequence[str], options: argparse.Namespace, command: list[str], folders: tuple[Path, ...]) -> int:
    """Continue a certain run, as `ptrun resume RUN` does. Returns the exit code."""
    from ptrun.config.load import import_components

    run, changes, output_dir, plugins = split_run_and_changes("train", words)
    import_components(plugins)
    with resting_collector():
        from ptrun.runs import resume

    resume.run(
        resume.ResumeRequest(run, changes, options.allow_change, command, folders, plugins, output_dir, options.quiet)
    )
    return 0


def _resume_newest(
    config: RunConfig, options: argparse.Namespace, command: list[str], folders: tuple[Path, ...]
) -> bool:
    """Continue the newest unfinished run of this configuration. Returns False when there is none."""
    from ptrun.runs import resume

    request = resume.ResumeRequest(
        None, {}, options.allow_change, command, folders, config.plugins, quiet=options.quiet
    )
    if resume.automatic(config, request) is not None:
        return True
    if not options.quiet:
        print(f"resume=auto: no unfinished run of this configuration in {config.output_dir}; a new one starts.")
    return False
