"""`ptrun eval`: evaluates a checkpoint, or a file of weights in a model that settings describe."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.cli.arguments import Parser, add_config_dir_flag, add_quiet_flag, named_checkpoint, split_words
from ptrun.process.signals import interrupt_raised
from ptrun.process.startup import loading_torch

HELP = """\
ptrun eval PATH [split=test] [KEY=VALUE ...] [flags]
ptrun eval weights=FILE model=NAME dataset=NAME [KEY=VALUE ...]     weights from elsewhere, with settings as for `train`

  PATH or checkpoint=PATH       a checkpoint file, or a run folder (its best checkpoint)
  split=train|val|test          the part of the data to evaluate
  output_dir=DIR                where the folder of this evaluation is made
  plots=false                   draw no pictures
  plugins=[FILE.py]             the file of your own components, which a checkpoint never names
  dataset.path=new.csv          any setting of dataset, split (split.KEY=VALUE), transform, device, metrics or train
  dataset=image_folder dataset.root=DIR        other data of the same kind

Flags: -q, --quiet; --debug; --config-dir DIR
"""


def main(argv: list[str]) -> int:
    """Evaluate a checkpoint or weights. Returns the exit code."""
    parser = Parser("eval", "dataset.path=new.csv")
    parser.add_argument("overrides", nargs="*")
    add_quiet_flag(parser)
    add_config_dir_flag(parser)
    options = parser.parse(argv)
    if options.help or not options.overrides:
        print(HELP, end="")
        return 0
    from ptrun.config import load
    from ptrun.config.folders import conf_folders
    from ptrun.config.verb_settings import split_settings

    folders = conf_folders(options.config_dir)
    paths, values = split_words(options.overrides)
    values |= named_checkpoint("eval", paths, values)
    if "weights" in values and "checkpoint" not in values:
        return _evaluate_weights(argv, options, folders, values)
    settings, changes = split_settings("eval", values)
    load.import_components(settings["plugins"])
    with loading_torch():
        from ptrun.runs import evaluate

    command = ["ptrun", "eval", *argv]
    with interrupt_raised():
        evaluate.run(
            evaluate.EvalRequest(**settings, changes=changes, command=command, folders=folders, quiet=options.quiet)
        )
    return 0


def _evaluate_weights(
    argv: Sequence[str], options: Namespace, folders: tuple[Path, ...], values: Mapping[str, Any]
) -> int:
    """Evaluate a file of weights in the model that the settings of a training run describe. Returns the exit code."""
    from ptrun.config.compose import Composer
    from ptrun.config.verb_settings import split_settings
    from ptrun.runs.start_weights import config_of_weights

    settings, _ = split_settings("eval", {**values, "checkpoint": values["weights"]})
    config = config_of_weights(options.overrides, Composer("train", folders))
    with loading_torch():
        from ptrun.runs import evaluate, evaluate_weights

    request = evaluate.EvalRequest(
        **{**settings, "checkpoint": str(config.weights)},
        changes={},
        command=["ptrun", "eval", *argv],
        folders=folders,
        quiet=options.quiet,
    )
    with interrupt_raised():
        evaluate_weights.run(request, config)
    return 0
