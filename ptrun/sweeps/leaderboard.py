"""The leaderboard of a sweep: every job with its state, and configurations summed up over their seeds.

All of it is read from the files in the sweep's folder, so it can be shown while the sweep runs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.files import lock
from ptrun.loggers.records import read_records
from ptrun.runs import find
from ptrun.runs.folder import RunDir

SEED_KEYS = ("seed", "split.seed", "split.fold", "dataset.split_seed")  # values of these repeat a configuration
SIGNIFICANT = 0.05  # a smaller probability of a difference by chance is called a difference

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Configuration:
    """The finished jobs that differ in their seeds alone. std: of a single run (n - 1); None for one run.

    settings: the values of the other axes, as typed. planned: how many jobs there are to be.
    """

    settings: str
    monitor: str
    higher_is_better: bool
    planned: int
    values: Sequence[float]
    tests: Mapping[str, Sequence[float]]

    @property
    def mean(self) -> float:
        """Over the finished runs; NaN without any."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def std(self) -> float | None:
        """Of the finished runs."""
        return std(self.values)


def std(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def all_rows(folder: Path) -> list[dict[str, Any]]:
    """One row for each job of a sweep, best first, also for those that have not begun."""
    rows = {row["job"]: row for row in find.sweep_rows(folder)}
    for job in find.read_plan(folder).get("jobs", []):
        name = job["job"]
        if name not in rows:
            rows[name] = find.run_row(folder / name)
        rows[name]["overrides"] = job["overrides"]  # a job that failed early has no receipt
    return [_with_live_state(folder / row["job"], row) for row in rows.values()]


def job_row(folder: Path) -> dict[str, Any]:
    """State and result of one run, with the state that its lock shows."""
    return _with_live_state(folder, find.run_row(folder))


def _with_live_state(folder: Path, row: Row) -> dict[str, Any]:
    return {**row, "state": _state(folder, row["state"])}


def configurations(rows: Sequence[Row]) -> list[Configuration]:
    """The jobs summed up over their seeds, ranked by the mean; none when no seed has several values."""
    keys = swept_keys(rows)
    if not set(SEED_KEYS) & set(keys):
        return []
    groups: dict[str, list[Row]] = {}
    for row in rows:
        settings = [text for text in row["overrides"] if text.partition("=")[0] in set(keys) - set(SEED_KEYS)]
        groups.setdefault(" ".join(settings) or "(defaults)", []).append(row)
    summed = [_sum_up(settings, group) for settings, group in groups.items()]
    return sorted(summed, key=_rank)


def comparison(ranked: Sequence[Configuration]) -> str:
    """One sentence on whether the best configuration is better than the second beyond chance; "" if that is unknown."""
    if len(ranked) < 2 or any(len(place.values) < 2 for place in ranked[:2]):
        return ""
    first, second = ranked[:2]
    if first.monitor != second.monitor:
        return ""
    probability = welch(first.values, second.values)
    runs = f"{len(first.values)} and {len(second.values)} runs, Welch's t-test: p = {probability:.2g}"
    if probability < SIGNIFICANT:
        return f"The best configuration differs from the second by more than chance ({runs})."
    return f"The best two configurations can't be told apart ({runs}). More seeds would tell."


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """The two-sided probability of such a difference of means by chance. Each needs two values.

    B. L. Welch, The generalization of Student's problem when several different population variances are involved, 1947.
    """
    parts = [statistics.variance(values) / len(values) for values in (first, second)]
    difference = abs(statistics.fmean(first) - statistics.fmean(second))
    if sum(parts) == 0:
        return 0.0 if difference else 1.0
    from scipy.special import stdtr

    degrees = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    return float(2 * stdtr(degrees, -difference / math.sqrt(sum(parts))))


def swept_keys(rows: Sequence[Row]) -> list[str]:
    """Keys whose values differ between jobs."""
    values_by_key: dict[str, set[str]] = {}
    for row in rows:
        for text in row["overrides"]:
            key, _, value = text.partition("=")
            values_by_key.setdefault(key, set()).add(value)
    return [key for key, values in values_by_key.items() if len(values) > 1]


def _sum_up(settings: str, rows: Sequence[Row]) -> Configuration:
    finished = [row for row in rows if row["value"] is not None and row["state"] == "done"]
    names = finished[0]["test"] if finished else {}
    tests = {name: [row["test"][name] for row in finished if row["test"].get(name) is not None] for name in names}
    return Configuration(
        settings,
        finished[0]["monitor"] if finished else "",
        bool(finished and finished[0]["higher_is_better"]),
        len(rows),
        [row["value"] for row in finished],
        tests,
    )


def _rank(place: Configuration) -> tuple[bool, str, float]:
    """Those without a result last; different metrics are not compared."""
    return not place.values, place.monitor, -place.mean if place.higher_is_better else place.mean


def _state(folder: Path, state: str) -> str:
    """The state of a job: planned, running (epoch), done, failed, interrupted, or killed without a word."""
    if state == "unknown":
        return "planned"
    if state != "running":
        return state
    if not lock.is_locked(folder):
        return "killed"
    records = read_records(RunDir(folder).metrics)
    return f"running, epoch {records[-1].get('epoch')}" if records else "running"
