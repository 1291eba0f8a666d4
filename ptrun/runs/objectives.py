"""Several objectives of a sweep at once: their values for a run, and which runs no other run beats in all of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.loggers.records import read_records
from ptrun.runs import find
from ptrun.runs.folder import METRICS, SUMMARY


def is_higher_better(name: str) -> bool:
    """Whether more of a value is better: val/METRIC and test/METRIC as the metric is; losses and costs are not."""
    part, _, metric = name.rpartition("/")
    declared = schema.find("metric", metric) if part else None
    return declared is not None and "higher" in declared.facts.get("better", ())


def objective_values(folder: Path, names: Sequence[str]) -> list[float] | None:
    """The objectives of a run that is done, metrics of its best epoch; None when one is missing or not finite."""
    summary = find.read_leniently(folder, SUMMARY)
    epoch = summary.get("best_epoch")
    records = {record.get("epoch"): record for record in read_records(folder / METRICS)}
    values = [records.get(epoch, {}).get(name) if name.startswith("val/") else summary.get(name) for name in names]
    if any(not isinstance(value, int | float) or not math.isfinite(value) for value in values):
        return None
    return [float(value) for value in values if value is not None]


def pareto_front(
    rows: Sequence[Mapping[str, Any]], folder: Path, names: Sequence[str]
) -> list[tuple[str, list[float]]]:
    """The runs that no other run beats, name → objectives, by the first objective."""
    points = {
        row["job"]: values
        for row in rows
        if row["state"] == "done" and (values := objective_values(folder / row["job"], names)) is not None
    }
    signs = [-1 if is_higher_better(name) else 1 for name in names]
    front = [
        (job, values)
        for job, values in points.items()
        if not any(_dominates(other, values, signs) for other in points.values())
    ]
    return sorted(front, key=lambda entry: signs[0] * entry[1][0])


def mean_values(folders: Sequence[Path], names: Sequence[str]) -> list[float] | None:
    """The objectives of a configuration: the means over its runs; None when no run has them."""
    values = [found for folder in folders if (found := objective_values(folder, names)) is not None]
    return [statistics.fmean(column) for column in zip(*values, strict=True)] if values else None


def _dominates(one: Sequence[float], other: Sequence[float], signs: Sequence[int]) -> bool:
    """Whether one point is at least as good in everything, and better in something."""
    pairs = [(sign * a, sign * b) for sign, a, b in zip(signs, one, other, strict=True)]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
