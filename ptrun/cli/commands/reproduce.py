"""`ptrun reproduce`: trains a finished run again and compares."""

from __future__ import annotations

from ptrun.cli.arguments import load_plugins, parse, run_and_changes
from ptrun.cli.help import REPRODUCE_HELP
from ptrun.process.startup import resting_collector


def main(argv: list[str]) -> int:
    """Train again and compare. Returns the exit code."""
    options = parse(argv)
    if options.help or not options.overrides:
        print(REPRODUCE_HELP, end="")
        return 0
    from ptrun.config import load

    runs, changes, output_dir, files = run_and_changes("reproduce", options.overrides)
    folders = load.conf_folders(options.config_dir)
    load_plugins(files)
    with resting_collector():
        from ptrun.runs import reproduce

    command = ["ptrun", "reproduce", *argv]
    return reproduce.run(
        reproduce.ReproduceRequest(runs[0] if runs else "", changes, command, folders, files, output_dir, options.quiet)
    )
