"""`ptrun resume`: continues an interrupted run, or extends a finished one."""

from __future__ import annotations

from ptrun.cli.arguments import (
    Parser,
    add_allow_change_flag,
    add_config_dir_flag,
    add_quiet_flag,
    split_run_and_changes,
)
from ptrun.process.startup import loading_torch, refuse_ranks

HELP = """\
ptrun resume [RUN] [KEY=VALUE ...] [flags]

  ptrun resume                                 continue the newest unfinished run in outputs
  ptrun resume outputs/latest                  continue this run (its folder, or a checkpoint in it)
  ptrun resume outputs/latest train.epochs=40  extend a run, finished or not
  ptrun resume output_dir=DIR                  continue the newest unfinished run in another folder
  ptrun resume RUN plugins=[FILE.py]           with the file of your own components, which a run folder never names
  ptrun train ... resume=auto                  continue the newest unfinished run of this configuration, or start one

The run continues in its own folder from its newest undamaged checkpoint. It ends with the same weights, bit for bit, as
a run that was never interrupted (on the same machine with the same number of threads). Changes of settings that would
change the numbers are refused.

Flags: --allow-change KEY (change this setting nevertheless); -q, --quiet; --debug; --config-dir DIR
"""


def main(argv: list[str]) -> int:
    """Continue a run. Returns the exit code."""
    parser = Parser("resume", "train.epochs=40")
    parser.add_argument("words", nargs="*")
    add_allow_change_flag(parser)
    add_quiet_flag(parser)
    add_config_dir_flag(parser)
    options = parser.parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    refuse_ranks()
    from ptrun.config.folders import conf_folders
    from ptrun.config.load import import_components

    folders = conf_folders(options.config_dir)
    run, changes, output_dir, plugins = split_run_and_changes("resume", options.words)
    import_components(plugins)
    with loading_torch():
        from ptrun.runs import resume

    command = ["ptrun", "resume", *argv]
    resume.run(
        resume.ResumeRequest(run, changes, options.allow_change, command, folders, plugins, output_dir, options.quiet)
    )
    return 0
