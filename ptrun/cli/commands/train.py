"""`ptrun train`: one training run, or with -m a sweep."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ptrun.cli.arguments import parse
from ptrun.cli.commands import resume
from ptrun.cli.completion import complete
from ptrun.cli.help import print_train_help
from ptrun.process.signals import interrupt_raised
from ptrun.process.startup import resting_collector

if TYPE_CHECKING:
    from ptrun.config.run_config import RunConfig


def main(argv: list[str]) -> int:
    """Train, or with -m sweep. Returns the exit code."""
    options = parse(argv)
    if options.help:
        return print_train_help()
    if options.shell_completion:
        return complete([options.shell_completion], ())
    from ptrun.config import compose, load
    from ptrun.config.compose import Composer

    composer = Composer(options.config_name, load.conf_folders(options.config_dir))
    if options.cfg:
        composer.show(options.cfg, options.overrides, options.package, options.resolve)
        return 0
    if options.info:
        composer.info(options.info, options.overrides)
        return 0
    command = ["ptrun", "train", *argv]
    for file in compose.shadowed(composer.folders):
        if not options.quiet:
            print(f"note: {file} replaces the shipped file of that name.")
    if options.multirun:
        from ptrun.sweeps import grid

        with interrupt_raised():
            return grid.run(composer, options.overrides, command, options.quiet)
    word = next((text for text in options.overrides if text.startswith("resume=")), None)
    if word is not None and word != "resume=auto":
        return resume.main([word.partition("=")[2], *(each for each in argv if each != word)])
    loaded = load.load_config(composer, [text for text in options.overrides if text != word])
    if word is not None and _continued(loaded.config, composer.folders, options, command):
        return 0

    with resting_collector():
        from ptrun.runs import session

    session.run(
        session.TrainRequest(
            loaded.config, loaded.as_written, options.overrides, command, composer.folders, quiet=options.quiet
        )
    )
    return 0


def _continued(config: RunConfig, folders: tuple[Path, ...], options: argparse.Namespace, command: list[str]) -> bool:
    """Whether resume=auto found a run to continue, and did."""
    from ptrun.runs import resume as resumption

    request = resumption.ResumeRequest(
        None, {}, options.allow_change, command, folders, config.plugins, quiet=options.quiet
    )
    if resumption.automatic(config, request) is not None:
        return True
    if not options.quiet:
        print(f"resume=auto: no unfinished run of this configuration below {config.output_dir}; a new one starts.")
    return False
