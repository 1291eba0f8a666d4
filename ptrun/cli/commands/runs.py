"""`ptrun runs`: all runs below a folder, newest or best first, all or those with some settings."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.cli.arguments import Parser
from ptrun.errors import ConfigError

HELP = """\
ptrun runs [DIR] [KEY=VALUE ...] [flags]

  ptrun runs                    all training runs in outputs, newest first, with state and best value
  ptrun runs DIR -n 50          in another folder, or in that of a sweep; the first 50 (0: all)
  ptrun runs model=convnet      those with this setting, whether it was typed or is a default
  ptrun runs optimizer.lr=0.1,0.01 dataset=c* state=done     one of several values, a pattern, a state

Flags
  --best                        best first; runs with different monitored metrics are not compared
  -n N, --number N              how many are shown (20; with --json and --csv all)
  --json                        everything, as one JSON list
  --csv                         one line for each run
"""
_SHOWN = 20
_COLUMNS = ("run", "state", "settings", "monitor", "value", "seconds")

Rows = Sequence[tuple[Path, Mapping[str, Any]]]


def main(argv: list[str]) -> int:
    """Print the table. Returns 0."""
    parser = Parser("runs", "model=convnet")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--best", action="store_true")
    parser.add_argument("-n", "--number", type=int)
    parser.add_formats("json", "csv")
    options = parser.parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    if options.number is not None and options.number < 0:
        raise ConfigError(f"ptrun runs: -n: expected int >= 0, got {options.number}. 0 shows all.")
    folders, total = _folders(options.words)
    rows = _rows(folders, options.best, options.number, is_data=options.json or options.csv)
    if options.json:
        print(json.dumps([_record(path, row) for path, row in rows], indent=2, ensure_ascii=False))
    elif options.csv:
        writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**_record(path, row), "settings": " ".join(row["overrides"])} for path, row in rows)
    else:
        _show(rows, len(folders), total, is_best=options.best)
    return 0


def _folders(words: Sequence[str]) -> tuple[list[Path], int]:
    """The runs that have the settings, newest first, and the number of all runs in the folder."""
    from ptrun.runs.find import all_runs
    from ptrun.runs.matching import matching

    places = [word for word in words if "=" not in word]
    if len(places) > 1:
        raise ConfigError(
            f"ptrun runs: {places[1]}: expected one folder, and settings as model=convnet. "
            "`ptrun compare` compares runs."
        )
    place = places[0] if places else "outputs"
    folders = all_runs(place)
    if not folders:
        missing = "" if Path(place).expanduser().is_dir() else " There is no such folder."
        raise ConfigError(f"{place}: there is no run in this folder.{missing} `ptrun train` starts one.")
    wanted = [word for word in words if "=" in word]
    chosen = matching(folders, wanted)
    if not chosen:
        raise ConfigError(f"{place}: none of the {len(folders)} runs in this folder has {' '.join(wanted)}.")
    return chosen, len(folders)


def _rows(folders: Sequence[Path], is_best: bool, number: int | None, *, is_data: bool) -> Rows:
    """The first of these runs, newest or best first."""
    from ptrun.sweeps.leaderboard import job_row

    limit = (0 if is_data else _SHOWN) if number is None else number
    if not is_best:
        return [(folder, job_row(folder)) for folder in folders[: limit or None]]
    rows = [(folder, job_row(folder)) for folder in folders]
    monitors = list(dict.fromkeys(row["monitor"] for _, row in rows))

    def rank(entry: tuple[Path, Mapping[str, Any]]) -> tuple[bool, int, float]:
        row = entry[1]
        value = row["value"] if row["value"] is not None else 0.0
        return row["value"] is None, monitors.index(row["monitor"]), -value if row["higher_is_better"] else value

    return sorted(rows, key=rank)[: limit or None]


def _record(path: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: row[key] for key in ("state", "monitor", "value", "test", "seconds", "epochs", "reason")}
    return {"run": str(path), "settings": list(row["overrides"]), **values}


def _show(rows: Rows, found: int, total: int, *, is_best: bool) -> None:
    from ptrun.terminal import console
    from ptrun.terminal.format import format_metric, format_seconds

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
    if len({row["monitor"] for _, row in rows if row["value"] is not None}) > 1 and is_best:
        print("Runs with different monitored metrics are not compared: best first within each of them.")
    if found < total:
        print(f"{found} of {total} runs have these settings.")
    if len(rows) < found:
        print(f"{found - len(rows)} {'other' if is_best else 'older'} runs are not shown; -n 0 shows all.")
