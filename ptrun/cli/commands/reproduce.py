"""`ptrun reproduce`: trains a finished run again and compares the two."""

from __future__ import annotations

from ptrun.cli.arguments import Parser, add_config_dir_flag, add_quiet_flag, split_run_and_changes
from ptrun.process.startup import loading_torch, refuse_ranks

HELP = """\
ptrun reproduce RUN [KEY=VALUE ...] [flags]

  ptrun reproduce outputs/latest               train this finished run again, in a new folder, from its stored settings
  ptrun reproduce RUN device.threads=2         with other settings of device, dataset, label, logger or plots
  ptrun reproduce RUN plugins=[FILE.py]        with the file of your own components, which a run folder never names

Compares every value of metrics.jsonl except times, the results on the test split, and the final weights, bit for bit.
Prints where the two runs first differ, and what differs between their environments (versions, hardware, data, code).
Exit code 0 when all is equal, 1 when something differs.

Flags: -q, --quiet; --debug; --config-dir DIR
"""


def main(argv: list[str]) -> int:
    """Train again and compare. Returns the exit code."""
    parser = Parser("reproduce", "device.threads=2")
    parser.add_argument("words", nargs="*")
    add_quiet_flag(parser)
    add_config_dir_flag(parser)
    options = parser.parse(argv)
    if options.help or not options.words:
        print(HELP, end="")
        return 0
    refuse_ranks()
    from ptrun.config.folders import conf_folders
    from ptrun.config.load import import_components

    run, changes, output_dir, plugins = split_run_and_changes("reproduce", options.words)
    folders = conf_folders(options.config_dir)
    import_components(plugins)
    with loading_torch():
        from ptrun.runs import reproduce

    command = ["ptrun", "reproduce", *argv]
    return reproduce.run(
        reproduce.ReproduceRequest(run or "", changes, command, folders, plugins, output_dir, options.quiet)
    )
