"""`ptrun sweep`: the table of a sweep, also while it runs; `ptrun sweep work`: helps to run it."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ptrun.cli.arguments import Parser, add_quiet_flag
from ptrun.errors import CheckpointError, ConfigError

HELP = """\
ptrun sweep [PATH] [flags]
ptrun sweep work [PATH] [sweep.KEY=VALUE ...] [flags]

  ptrun sweep                   the newest sweep in outputs
  ptrun sweep PATH              the sweep in this folder; `ptrun train -m ...` starts one
  ptrun sweep work PATH         take jobs from the sweep in this folder until none is left, beside other processes that
                                do, here or on other machines that share the folder; sweep.jobs=1 is for this process

Prints every job with its state (planned, running, done, pruned, failed, interrupted, killed) and result, best first;
with several seeds also the mean, standard deviation and 95 % confidence interval of each configuration; and why jobs
failed. It can be called while the sweep runs. Only --html writes: sweep.html and plots/, as at the end of a sweep.

Flags
  --json                        everything, as one JSON object
  --csv                         one line for each job
  --html                        draw the figures and write the page sweep.html into the folder of the sweep
  --output-dir DIR              where the newest sweep is looked for (outputs)
  --cores N                     work: use at most this many cores
  --until-eof                   work: save the jobs and stop when standard input ends, as it does with a connection
  -q, --quiet                   work: print nothing but warnings and errors
"""


def main(argv: list[str]) -> int:
    """Print the table, or with `work` run jobs. Returns the exit code."""
    if argv[:1] == ["work"]:
        return _work(argv[1:])
    parser = Parser("sweep")
    parser.add_argument("path", nargs="?")
    parser.add_formats("json", "csv", "html")
    parser.add_argument("--output-dir", default="outputs")
    options = parser.parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    from ptrun.runs.find import find_sweep
    from ptrun.sweeps import leaderboard, table

    folder = find_sweep(options.path, options.output_dir)
    rows = leaderboard.all_rows(folder)
    if not rows:
        raise CheckpointError(f"{folder}: this sweep has no jobs.")
    if options.json:
        print(json.dumps(_document(folder, rows), indent=2, ensure_ascii=False))
    elif options.csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(table.csv_rows(rows))
    elif options.html:
        return _write_page(folder, rows)
    else:
        _show(folder, rows)
    return 0


def _work(argv: list[str]) -> int:
    parser = Parser("sweep work", "sweep.jobs=1")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--output-dir", default="outputs")
    parser.add_argument("--cores", type=_number_of_cores)
    parser.add_argument("--until-eof", action="store_true")
    add_quiet_flag(parser)
    options = parser.parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    from ptrun.config.sweep import is_setting
    from ptrun.process.machine import use_at_most
    from ptrun.process.signals import interrupt_raised
    from ptrun.runs.find import find_sweep

    paths = [word for word in options.words if "=" not in word]
    others = [word for word in options.words if "=" in word and not is_setting(word)]
    if len(paths) > 1 or others:
        raise ConfigError(
            f"ptrun sweep work: {(others or paths[1:])[0]}: expected one folder of a sweep, and settings of the sweep "
            "as sweep.jobs=1. What its jobs are, the sweep says."
        )
    folder = find_sweep(paths[0] if paths else None, options.output_dir)
    from ptrun.sweeps import session

    if options.cores is not None:
        use_at_most(options.cores)
    with interrupt_raised():
        settings = [word for word in options.words if is_setting(word)]
        return session.work(folder, settings, options.quiet, options.until_eof).code


def _number_of_cores(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"ptrun sweep work: --cores {text}: expected a number of cores, as --cores 2.")
    return int(text)


def _write_page(folder: Path, rows: list[dict[str, Any]]) -> int:
    from ptrun.sweeps import report
    from ptrun.terminal.console import Console

    page = report.write(folder, rows, Console(), plots=True)
    if page is None:
        return 1
    print(page)
    return 0


def _show(folder: Path, rows: list[dict[str, Any]]) -> None:
    from ptrun.runs.find import read_plan
    from ptrun.sweeps import leaderboard, table, verdicts
    from ptrun.terminal.console import Console

    console = Console()
    counts = ", ".join(f"{number} {state}" for state, number in leaderboard.state_counts(rows).items())
    console.header([("folder", str(folder)), ("jobs", f"{len(rows)}: {counts}")], "Sweep")
    table.show(rows, folder, console, read_plan(folder).get("objectives", ()))
    verdicts.show(folder, rows, console)


def _document(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    from ptrun.files.json_file import nonfinite_to_none
    from ptrun.runs.configurations import configurations
    from ptrun.sweeps import leaderboard, verdicts

    ranked = configurations(rows)
    records = [
        {
            **asdict(configuration),
            "mean": configuration.mean,
            "std": configuration.std,
            "confidence_interval_95": configuration.interval,
        }
        for configuration in ranked
    ]
    values = {
        "folder": str(folder),
        "jobs": rows,
        "configurations": records,
        "comparison": leaderboard.comparison(ranked),
        "verdicts": verdicts.verdicts(folder, rows),
    }
    document: dict[str, Any] = nonfinite_to_none(values)
    return document
