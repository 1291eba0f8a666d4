"""`ptrun eval`: evaluates a checkpoint."""

from __future__ import annotations

from ptrun.cli.arguments import load_plugins, parse
from ptrun.cli.help import EVAL_HELP
from ptrun.process.signals import interrupt_raised
from ptrun.process.startup import resting_collector


def main(argv: list[str]) -> int:
    """Evaluate a checkpoint. Returns the exit code."""
    options = parse(argv)
    if options.help or not options.overrides:
        print(EVAL_HELP, end="")
        return 0
    from ptrun.config import compose, load, schema
    from ptrun.config.check import check_section

    folders = load.conf_folders(options.config_dir)
    values = compose.parse_values(options.overrides)
    own = schema.read(schema.shipped_conf() / "eval.yaml").keys
    settings = check_section({key: value for key, value in values.items() if key in own}, own)
    changes = {key: value for key, value in values.items() if key not in own}

    load_plugins(settings["plugins"])
    with resting_collector():
        from ptrun.runs import evaluate

    command = ["ptrun", "eval", *argv]
    with interrupt_raised():
        evaluate.run(
            evaluate.EvalRequest(**settings, changes=changes, command=command, folders=folders, quiet=options.quiet)
        )
    return 0
