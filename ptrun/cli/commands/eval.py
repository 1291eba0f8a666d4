"""`ptrun eval`: evaluates a checkpoint."""

from __future__ import annotations

from pathlib import Path

from ptrun.cli.arguments import Parser, add_config_dir_flag, add_quiet_flag, named_checkpoint
from ptrun.process.signals import interrupt_raised
from ptrun.process.startup import resting_collector

HELP = """\
ptrun eval PATH [split=test] [KEY=VALUE ...] [flags]

  PATH or checkpoint=PATH       a checkpoint file, or a run folder (its best checkpoint)
  split=train|val|test          the part of the data to evaluate
  output_dir=DIR                where the folder of this evaluation is made
  plots=false                   draw no pictures
  plugins=[FILE.py]             the file of your own components, which a checkpoint never names
  dataset.path=new.csv          any setting of dataset, transform, device, metrics or train, in place of the stored one
  dataset=image_folder dataset.root=DIR        other data of the same kind

Flags: -q, --quiet; --debug; --config-dir DIR
"""


def main(argv: list[str]) -> int:
    """Evaluate a checkpoint. Returns the exit code."""
    parser = Parser("eval", "dataset.path=new.csv")
    parser.add_argument("overrides", nargs="*")
    add_quiet_flag(parser)
    add_config_dir_flag(parser)
    options = parser.parse(argv)
    if options.help or not options.overrides:
        print(HELP, end="")
        return 0
    from ptrun.config import load, schema
    from ptrun.config.check import check_section
    from ptrun.config.folders import conf_folders, shipped_conf
    from ptrun.config.overrides import parse_values

    folders = conf_folders(options.config_dir)
    paths = [word for word in options.overrides if "=" not in word or Path(word).exists()]
    values = parse_values([word for word in options.overrides if word not in paths])
    values |= named_checkpoint("eval", paths, values)
    own_keys = schema.read(shipped_conf() / "eval.yaml").keys
    settings = check_section({key: value for key, value in values.items() if key in own_keys}, own_keys)
    changes = {key: value for key, value in values.items() if key not in own_keys}

    load.import_components(settings["plugins"])
    with resting_collector():
        from ptrun.runs import evaluate

    command = ["ptrun", "eval", *argv]
    with interrupt_raised():
        evaluate.run(
            evaluate.EvalRequest(**settings, changes=changes, command=command, folders=folders, quiet=options.quiet)
        )
    return 0
