"""Copies the finished trials of a search into a storage of Optuna, for optuna-dashboard (sweep.storage).

The search itself does not read it: the folders of the jobs are the record. So it may fail, or be deleted and made
again, at any time. A trial is copied once. One that was pruned or has failed and is run again later becomes another
trial of the study, because Optuna's finished trials can't be changed.
"""

from __future__ import annotations

import contextlib
import datetime
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptrun.config.search_space import Axis
from ptrun.config.sweep import SweepSettings
from ptrun.files import lock
from ptrun.loggers.records import read_records
from ptrun.process.children import Child, ForkedChild, wait_for_any
from ptrun.runs import find
from ptrun.runs.folder import METRICS, RECEIPT, STATUS
from ptrun.sweeps.history import Outcome, Trial, read_trials
from ptrun.sweeps.search import as_optuna, directions, library, lies_in

_WAIT_SECONDS = 60  # at the end, for a copy that has begun
_LOCK, _LOG = ".storage.lock", "storage.log"  # in the folder of the sweep
_FOLDER, _TRIAL, _JOBS, _STATE = "ptrun:folder", "ptrun:trial", "ptrun:jobs", "ptrun:state"


class StorageError(Exception):
    """The storage can't be used. The search goes on without it, so this ends no command."""


@dataclass
class Mirror:
    """Copies the trials of the search in this folder to `settings.storage`, in a process of its own while jobs run.

    A storage that is slow, hangs or fails does not hold the jobs up.
    """

    folder: Path
    settings: SweepSettings
    space: Sequence[Axis]
    forks: bool
    child: Child | None = field(default=None)

    def begin(self) -> None:
        """Copy what is new, beside the jobs. Nothing happens while the last copy goes on, or where forks are unsafe."""
        if self.forks and (self.child is None or self.child.poll() is not None):
            self.child = ForkedChild(self._work, self.folder / _LOG)

    def finish(self) -> str:
        """Copy the rest. Returns a sentence on why that failed, or ""."""
        if self.child is not None and not _has_ended(self.child, _WAIT_SECONDS):
            self.child.kill()
            return f"sweep.storage: copying trials there took longer than {_WAIT_SECONDS} seconds, and was given up."
        try:
            copy_trials(self.folder, self.settings, self.space)
        except StorageError as error:
            return str(error)
        return ""

    def _work(self) -> int:
        try:
            copy_trials(self.folder, self.settings, self.space)
        except StorageError as error:
            print(error)  # into the log; the copy at the end meets the same error, or makes up for it
            return 1
        return 0


def copy_trials(folder: Path, settings: SweepSettings, space: Sequence[Axis]) -> int:
    """Copy the finished trials that the storage lacks, and return how many these are. Raises StorageError."""
    trials = [trial for trial in read_trials(folder, settings.objectives or ()) if trial.outcome is not Outcome.RUNNING]
    if not any(trial.value is not None for trial in trials):
        return 0  # nor is it known yet whether more is better
    optuna = library("optuna", settings.name)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with lock.wait_for_lock(folder / _LOCK), warnings.catch_warnings(action="ignore"):
            study = _study(optuna, folder, settings, trials)
            return _add(optuna, study, _new(study, trials), space, settings)
    except StorageError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StorageError(
            f"sweep.storage: the trials could not be copied there ({reason}). They are in {folder}, and the same "
            "command tries again."
        ) from error


def open_storage(optuna: Any, where: str) -> Any:
    """The storage of a URL, or of a journal's file."""
    if "://" in where:
        return optuna.storages.get_storage(where)
    journal = optuna.storages.journal
    path = str(Path(where).expanduser().resolve())  # with a relative one, a lock that was left behind is waited for
    return optuna.storages.JournalStorage(journal.JournalFileBackend(path, lock_obj=journal.JournalFileOpenLock(path)))


def _study(optuna: Any, folder: Path, settings: SweepSettings, trials: Sequence[Trial]) -> Any:
    study = optuna.create_study(
        study_name=folder.resolve().name,
        storage=open_storage(optuna, settings.storage or ""),
        directions=directions(trials, settings.objectives or ()),
        load_if_exists=True,
    )
    owner = study.user_attrs.get(_FOLDER)
    if owner is None:
        study.set_user_attr(_FOLDER, str(folder.resolve()))
        study.set_metric_names(list(settings.objectives or [_monitor(folder)]))
    elif owner != str(folder.resolve()):
        raise StorageError(
            f"sweep.storage: it has a study '{folder.resolve().name}' of another sweep, {owner}. Name another storage, "
            "or give the sweep a folder of another name."
        )
    return study


def _monitor(folder: Path) -> str:
    monitors = (find.run_row(path.parent)["monitor"] for path in folder.glob(f"*/{STATUS}"))
    return next((monitor for monitor in monitors if monitor), "value")


def _new(study: Any, trials: Iterable[Trial]) -> list[Trial]:
    copied = {
        (trial.user_attrs.get(_TRIAL), trial.user_attrs.get(_STATE)) for trial in study.get_trials(deepcopy=False)
    }
    return [trial for trial in trials if (trial.number, trial.outcome.value) not in copied]


def _add(optuna: Any, study: Any, trials: Sequence[Trial], space: Sequence[Axis], settings: SweepSettings) -> int:
    added = 0
    for trial in trials:
        if not lies_in(trial, space):
            continue
        paths = trial.folders
        made = as_optuna(optuna, trial, space, bool(settings.objectives))
        made.user_attrs = {
            _TRIAL: trial.number,
            _STATE: trial.outcome.value,
            _JOBS: [str(path.resolve()) for path in paths],
        }
        if not settings.objectives:
            made.intermediate_values = _curve(paths[0])
        made.datetime_start, made.datetime_complete = _times(paths, made.datetime_complete)
        study.add_trial(made)
        added += 1
    return added


def _has_ended(child: Child, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while child.poll() is None and time.monotonic() < deadline:
        wait_for_any([child], 1.0)
    return child.poll() is not None


def _curve(job: Path) -> dict[int, float]:
    """Epoch → monitored value."""
    monitor = find.run_row(job)["monitor"]
    records = read_records(job / METRICS)
    return {int(record["epoch"]): float(record[monitor]) for record in records if record.get(monitor) is not None}


def _times(jobs: Sequence[Path], default: Any) -> tuple[Any, Any]:
    """When the first job of a trial was started, and when the last one ended, in the time of this place."""
    starts = [find.read_leniently(job, RECEIPT).get("started") for job in jobs]
    ends = [find.read_leniently(job, STATUS).get("time") for job in jobs]
    with contextlib.suppress(ValueError, TypeError):
        start = min(datetime.datetime.fromisoformat(str(text)) for text in starts)
        end = max(datetime.datetime.fromisoformat(str(text)) for text in ends)
        return _here(start), _here(max(start, end))
    return default, default


def _here(moment: datetime.datetime) -> datetime.datetime:
    return moment.astimezone().replace(tzinfo=None)
