"""What the folder of a sweep says of its trials: which configurations were tried, and with which results.

A trial is a configuration of a search, with a job for each of its repetitions. The folders of the jobs are the only
record: job.json says what was proposed, the files of the run how it went.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from ptrun.runs import find
from ptrun.runs.folder import JOB, STATUS
from ptrun.runs.objectives import mean_values

_BAD_CONFIGURATION = (5, 6)  # exit codes: diverged, out of memory


class Outcome(Enum):
    """How a trial stands."""

    RUNNING = "running"  # or still to be run
    COMPLETE = "complete"
    PRUNED = "pruned"
    BAD = "bad"  # its configuration makes the training fail
    FAILED = "failed"


@dataclass(frozen=True)
class Trial:
    """A configuration that a search has tried.

    value: the mean over the repetitions; of a pruned one, when it was stopped. epochs: those of its shortest run.
    values: the same of several objectives; none for a search with one.
    generation: of a search that proposes in generations. ids: what identifies its jobs. folders: of its jobs.
    """

    number: int
    point: Mapping[str, Any]
    outcome: Outcome
    value: float | None
    higher_is_better: bool
    epochs: int
    generation: int | None
    values: Sequence[float] = ()
    ids: frozenset[str] = frozenset()
    folders: Sequence[Path] = field(default=(), compare=False)


def read_trials(folder: Path, objectives: Sequence[str] = ()) -> list[Trial]:
    """All trials in the folder of a sweep, in the order in which they were proposed."""
    jobs: dict[int, list[tuple[Path, Mapping[str, Any]]]] = {}
    for path in sorted(folder.glob(f"*/{JOB}")):
        job = find.read_leniently(path.parent, JOB)
        if isinstance(job.get("trial"), int):
            jobs.setdefault(job["trial"], []).append((path.parent, job))
    return [_trial(number, jobs[number], objectives) for number in sorted(jobs)]


def _trial(number: int, jobs: Sequence[tuple[Path, Mapping[str, Any]]], objectives: Sequence[str]) -> Trial:
    first, folders = jobs[0][1], [folder for folder, _ in jobs]
    outcomes = [_outcome(folder) for folder in folders]
    outcome = max(outcomes, key=[Outcome.COMPLETE, Outcome.RUNNING, *_DECISIVE].index)
    rows = [find.run_row(folder) for folder in folders]
    rows = [row for row in rows if row["value"] is not None]
    value = statistics.fmean(row["value"] for row in rows) if rows else None
    higher = bool(rows and rows[0]["higher_is_better"])
    epochs = min((row["epochs"] for row in rows), default=0)
    values = mean_values(folders, objectives) if objectives else None
    if outcome is Outcome.COMPLETE and (value is None or (objectives and values is None)):
        outcome = Outcome.BAD
    ids = frozenset(str(job.get("id")) for _, job in jobs)
    generation, others = first.get("generation"), tuple(values or ())
    return Trial(number, first["point"], outcome, value, higher, epochs, generation, others, ids, folders)


_DECISIVE = (Outcome.PRUNED, Outcome.FAILED, Outcome.BAD)  # one job decides for its trial, the last of these first


def _outcome(folder: Path) -> Outcome:
    status = find.read_leniently(folder, STATUS)
    state = status.get("state")
    if state == "done":
        return Outcome.COMPLETE
    if state == "pruned":
        return Outcome.PRUNED
    if state == "failed":
        return Outcome.BAD if status.get("exit_code") in _BAD_CONFIGURATION else Outcome.FAILED
    return Outcome.RUNNING
