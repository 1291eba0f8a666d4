"""`ptrun runs`: all runs below a folder, newest first."""

from __future__ import annotations

from ptrun.cli.arguments import Parser
from ptrun.errors import ConfigError

HELP = """\
ptrun runs [DIR] [flags]

  ptrun runs                    all training runs in outputs, newest first, with state and best value
  ptrun runs DIR -n 50          in another folder; the newest 50 (0: all)
"""


def main(argv: list[str]) -> int:
    """Print the table. Returns 0."""
    parser = Parser("runs")
    parser.add_argument("output_dir", nargs="?", default="outputs")
    parser.add_argument("-n", "--number", type=int, default=20)
    options = parser.parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    from ptrun.runs.find import all_runs
    from ptrun.sweeps.leaderboard import job_row
    from ptrun.terminal import console
    from ptrun.terminal.format import format_metric, format_seconds

    folders = list(all_runs(options.output_dir))
    if not folders:
        raise ConfigError(f"{options.output_dir}: there is no run in this folder. `ptrun train` starts one.")
    newest = folders[: options.number or None]
    rows = [(folder, job_row(folder)) for folder in newest]
    console.table(
        ["run", "settings", "best", "value", "time", "state"],
        [
            (
                str(folder),
                " ".join(row["overrides"]) or "(defaults)",
                row["monitor"] or "-",
                format_metric(row["monitor"], row["value"]),
                format_seconds(row["seconds"]),
                row["state"],
            )
            for folder, row in rows
        ],
    )
    if len(newest) < len(folders):
        print(f"{len(folders) - len(newest)} older runs are not shown; -n 0 shows all.")
    return 0
