"""The result of a sweep: one row for each job, best first, made from the files in the job folders alone.

Invariant: reads what a run wrote (receipt, status, summary) and nothing else, so that it works for jobs of any origin.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.files.atomic import replacing_text
from ptrun.runs.folder import SWEEP_RESULTS
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_metric, format_seconds


def report(rows: Sequence[Mapping[str, Any]], folder: Path, console: Console) -> None:
    """Print the table, best first, and write it to results.csv."""
    if not rows:
        return
    first = rows[0]
    tests = [name for name in ("accuracy", "f1_macro", "rmse", "mae", "r2", "loss") if name in first["test"]][:2]
    monitor = first["monitor"] or "value"
    swept = _swept(rows)
    table = []
    for row in rows:
        shown = [text for text in row["overrides"] if text.partition("=")[0] in swept] or ["(defaults)"]
        result = [format_metric(monitor, row["value"]), *(format_metric(name, row["test"].get(name)) for name in tests)]
        table.append([row["job"], " ".join(shown), *result, format_seconds(row["seconds"]), row["state"]])
    columns = ["job", "settings", monitor, *(f"test {name}" for name in tests), "time", "state"]
    console.text()
    console.table(columns, table)
    for row in rows:
        if row["reason"]:
            console.note(f"job {row['job']}: {row['reason'].splitlines()[0]}")
    with replacing_text(folder / SWEEP_RESULTS) as file:
        writer = csv.writer(file)
        writer.writerow(["job", "state", *swept, monitor, *(f"test/{name}" for name in first["test"]), "seconds"])
        for row in rows:
            given = dict(text.split("=", 1) for text in row["overrides"] if "=" in text)
            values = [given.get(key, "") for key in swept]
            writer.writerow(
                [
                    row["job"],
                    row["state"],
                    *values,
                    row["value"],
                    *(row["test"].get(name) for name in first["test"]),
                    row["seconds"],
                ]
            )
    console.text()
    console.header([("table", str(folder / SWEEP_RESULTS)), ("best", str(folder / first["job"]))], "Sweep")
    if first["value"] is not None:
        console.text()
        console.header([("evaluate", f"ptrun eval checkpoint={folder / first['job']}")], "Next")


def _swept(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose values differ between jobs."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for text in row["overrides"]:
            key, _, value = text.partition("=")
            values.setdefault(key, set()).add(value)
    return [key for key, found in values.items() if len(found) > 1]
