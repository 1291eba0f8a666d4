"""The result of a sweep: one row for each job, best first, made from the files in the job folders alone.

Invariant: reads what a run wrote (receipt, status, summary) and nothing else, so that it works for jobs of any origin.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.console import Console
from ptrun.errors import CheckpointError, listing
from ptrun.formats import format_metric, format_seconds


def gather(folder: Path) -> list[dict[str, Any]]:
    """One row for each job folder, best first; jobs without a result last."""
    rows = [_row(path) for path in sorted(folder.iterdir(), key=_job_number) if (path / "status.json").is_file()]
    values = [row for row in rows if row["value"] is not None]
    higher = bool(values) and values[0]["higher_is_better"]
    values.sort(key=lambda row: -row["value"] if higher else row["value"])
    return [*values, *(row for row in rows if row["value"] is None)]


def runs_of(folder: Path) -> list[Path]:
    """The run folders of a sweep's folder, best first; none when it is the folder of something else."""
    return [folder / row["job"] for row in gather(folder)] if (folder / "multirun.yaml").is_file() else []


def refuse_sweep(folder: Path) -> None:
    """Raise CheckpointError naming the runs of a sweep where one run is needed."""
    runs = runs_of(folder)
    if runs:
        raise CheckpointError(
            f"{folder}: this is a sweep of {len(runs)} runs. Name one of them, best first: {listing(map(str, runs), 8)}."
        )


def _row(folder: Path) -> dict[str, Any]:
    receipt, status, summary = (_read(folder / name) for name in ("receipt.json", "status.json", "summary.json"))
    return {
        "job": folder.name,
        "overrides": receipt.get("overrides", []),
        "state": status.get("state", "unknown"),
        "reason": status.get("reason", ""),
        "monitor": summary.get("monitor", ""),
        "value": summary.get("best_value"),
        "higher_is_better": summary.get("higher_is_better", False),
        "test": summary.get("test", {}),
        "seconds": summary.get("training_seconds"),
    }


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
    with (folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
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
    console.header([("table", str(folder / "results.csv")), ("best", str(folder / first["job"]))], "Sweep")
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


def _job_number(path: Path) -> tuple[int, str]:
    return (int(path.name), "") if path.name.isdigit() else (1 << 30, path.name)


def _read(path: Path) -> dict[str, Any]:
    """A file of a run; nothing when there is none, or when it is damaged (which `ptrun verify` tells)."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
