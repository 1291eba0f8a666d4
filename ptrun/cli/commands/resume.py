"""`ptrun resume`: continues an interrupted run."""

from __future__ import annotations

from ptrun.cli.arguments import load_plugins, parse, run_and_changes
from ptrun.cli.help import RESUME_HELP
from ptrun.process.startup import resting_collector


def main(argv: list[str]) -> int:
    """Continue a run. Returns the exit code."""
    options = parse(argv)
    if options.help:
        print(RESUME_HELP, end="")
        return 0
    from ptrun.config import load

    folders = load.conf_folders(options.config_dir)
    runs, changes, output_dir, files = run_and_changes("resume", options.overrides)
    load_plugins(files)
    with resting_collector():
        from ptrun.runs import resume

    command = ["ptrun", "resume", *argv]
    run = runs[0] if runs else None
    resume.run(
        resume.ResumeRequest(run, changes, options.allow_change, command, folders, files, output_dir, options.quiet)
    )
    return 0
