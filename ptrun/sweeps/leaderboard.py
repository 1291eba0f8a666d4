"""The leaderboard of a sweep: every job with its state, and configurations summed up over their seeds.

All of it is read from the files in the sweep's folder, so it can be shown while the sweep runs.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ptrun.loggers.records import read_records
from ptrun.runs import find
from ptrun.runs.configurations import Configuration, Row, ranked
from ptrun.runs.folder import JOB, RunDir
from ptrun.sweeps.difference import difference


def all_rows(folder: Path) -> list[dict[str, Any]]:
    """One row for each job of a sweep, best first, also for those that have not begun."""
    rows = {row["job"]: row for row in find.sweep_rows(folder)}
    for job in [*find.read_plan(folder).get("jobs", []), *_proposed(folder)]:
        name = job["job"]
        if name not in rows:
            rows[name] = find.run_row(folder / name)
        rows[name]["overrides"] = job["overrides"]  # a job that failed early has no receipt
    return [_with_live_state(folder / row["job"], row) for row in rows.values()]


def _proposed(folder: Path) -> list[dict[str, Any]]:
    """The jobs of a search, which the plan does not list, in order."""
    jobs = [{**find.read_leniently(path.parent, JOB), "job": path.parent.name} for path in folder.glob(f"*/{JOB}")]
    return sorted((job for job in jobs if "trial" in job), key=lambda job: job["trial"])


def job_row(folder: Path) -> dict[str, Any]:
    """State and result of one run, with the state that its lock shows."""
    return _with_live_state(folder, find.run_row(folder))


def _with_live_state(folder: Path, row: Row) -> dict[str, Any]:
    return {**row, "state": _state(folder, row["state"])}


def bare_state(row: Row) -> str:
    """The state of a job without its epoch."""
    return str(row["state"].partition(",")[0])


def state_counts(rows: Sequence[Row]) -> collections.Counter[str]:
    """How many jobs are in each state."""
    return collections.Counter(map(bare_state, rows))


def best_jobs(rows: Sequence[Row]) -> list[str]:
    """The names of the finished jobs of the best configuration; none when nothing is finished.

    One that another process tests at this moment is finished, too: else a worse one would be tested beside it.
    """
    tested_now = [bare_state(row) == "running" and row["value"] is not None for row in rows]
    ranking = ranked([{**row, "state": "done"} if now else row for row, now in zip(rows, tested_now, strict=True)])
    return list(ranking[0].jobs) if ranking else []


def comparison(ranking: Sequence[Configuration]) -> str:
    """One sentence on whether the best configuration is better than the second beyond chance; "" if that is unknown."""
    if len(ranking) < 2 or ranking[0].monitor != ranking[1].monitor:
        return ""
    gap = difference(ranking[0].by_repeat, ranking[1].by_repeat)
    if gap is None:
        return ""
    basis = f"({gap.basis}: p = {gap.probability:.2g})"
    if gap.is_significant:
        return f"The best configuration differs from the second by more than chance {basis}."
    return f"The best two configurations can't be told apart {basis}. More seeds would tell."


def _state(folder: Path, state: str) -> str:
    """The state of a job: planned, running (epoch), done, failed, interrupted, or killed without a word."""
    if state == "unknown":
        return "planned"
    if state != "running":
        return state
    if not find.is_at_work(folder):
        return "killed"
    records = read_records(RunDir(folder).metrics)
    return f"running, epoch {records[-1].get('epoch')}" if records else "running"
