"""The result of a sweep: one row for each job, best first, on the console and in results.csv.

The rows come from the files in the job folders alone (ptrun/runs/find.py), so that jobs of any launcher are in it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.files.atomic import replacing_text
from ptrun.runs.folder import JOB_LOG, SWEEP_RESULTS
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_metric, format_seconds

_TEST_METRICS = ("accuracy", "f1_macro", "rmse", "mae", "r2", "loss")  # most telling first; two fit into the table
_LAST_LINES = 4  # of a failed job

Row = Mapping[str, Any]


def report(rows: Sequence[Row], folder: Path, console: Console) -> None:
    """Print the table, best first, and write it to results.csv; then why jobs failed."""
    if not rows:
        return
    best = rows[0]
    columns, cells = _console_table(rows)
    console.text()
    console.table(columns, cells)
    for row in rows:
        if row["reason"] and row["state"] != "failed":
            console.note(f"job {row['job']}: {row['reason'].splitlines()[0]}")
    _report_failures([row for row in rows if row["state"] == "failed"], folder, console)
    path = folder / SWEEP_RESULTS
    with replacing_text(path) as file:
        csv.writer(file).writerows(_csv_rows(rows))
    console.text()
    console.header([("table", str(path)), ("best", str(folder / best["job"]))], "Sweep")
    if best["value"] is not None:
        console.text()
        console.header([("evaluate", f"ptrun eval checkpoint={folder / best['job']}")], "Next")


def _report_failures(rows: Sequence[Row], folder: Path, console: Console) -> None:
    """Print why each of these jobs failed, the last lines that it printed, and where the rest is."""
    for row in rows:
        log = folder / row["job"] / JOB_LOG
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
        console.text()
        console.text(f"  job {row['job']} failed: {(row['reason'].splitlines() or ['(no reason is known)'])[0]}")
        console.text(f"    folder {folder / row['job']}")
        for line in [line for line in lines[-_LAST_LINES:] if row["reason"] not in line]:
            console.text(f"    {JOB_LOG}: {line}")


def _console_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Column names and cells; of the settings only those that differ between jobs."""
    best = rows[0]
    tests = [name for name in _TEST_METRICS if name in best["test"]][:2]
    monitor = best["monitor"] or "value"
    keys = _swept_keys(rows)
    cells = []
    for row in rows:
        settings = [text for text in row["overrides"] if text.partition("=")[0] in keys] or ["(defaults)"]
        values = [format_metric(monitor, row["value"]), *(format_metric(name, row["test"].get(name)) for name in tests)]
        cells.append([row["job"], " ".join(settings), *values, format_seconds(row["seconds"]), row["state"]])
    return ["job", "settings", monitor, *(f"test {name}" for name in tests), "time", "state"], cells


def _csv_rows(rows: Sequence[Row]) -> Iterator[list[Any]]:
    """The header and one line for each job, with every test metric unrounded."""
    best = rows[0]
    tests = list(best["test"])
    keys = _swept_keys(rows)
    yield ["job", "state", *keys, best["monitor"] or "value", *(f"test/{name}" for name in tests), "seconds"]
    for row in rows:
        overrides = dict(text.split("=", 1) for text in row["overrides"] if "=" in text)
        values = [overrides.get(key, "") for key in keys]
        results = [row["value"], *(row["test"].get(name) for name in tests), row["seconds"]]
        yield [row["job"], row["state"], *values, *results]


def _swept_keys(rows: Sequence[Row]) -> list[str]:
    """Keys whose values differ between jobs."""
    values_by_key: dict[str, set[str]] = {}
    for row in rows:
        for text in row["overrides"]:
            key, _, value = text.partition("=")
            values_by_key.setdefault(key, set()).add(value)
    return [key for key, values in values_by_key.items() if len(values) > 1]
