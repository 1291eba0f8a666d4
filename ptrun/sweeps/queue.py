"""Which job of a sweep is run next, by any number of processes at once, on one machine or on several.

A process takes a job by a claim in its folder, which is free again when the process of the job ends, however it ends.
The status.json of a job is the only record of how far it is, so no second record can contradict it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ptrun.files import claim, lock
from ptrun.files.claim import Claim
from ptrun.runs import find
from ptrun.runs.configurations import without_repeats
from ptrun.runs.folder import CLAIM, STATUS, RunDir
from ptrun.sweeps.plan import Job
from ptrun.sweeps.pool import LATER, Later
from ptrun.sweeps.pruning import first_runs, is_pruned, with_run

PLAN_LOCK = ".plan.lock"  # in the folder of a sweep: held while a job is chosen

HasEnded = Callable[[Path], bool]  # whether nothing is left to do for the job in a folder


def num_ended(folder: Path, jobs: Sequence[Job], has_ended: HasEnded, *, is_search: bool) -> int:
    """How many of the jobs of a command have ended: of a search all in its folder, of which this process knows some."""
    folders = [path.parent for path in folder.glob(f"*/{STATUS}")] if is_search else [job.folder for job in jobs]
    return sum(map(has_ended, folders))


@dataclass(frozen=True)
class Taken:
    """A job, and the claim by which it is this process's. is_promoted: it was pruned, and goes on."""

    job: Job
    claim: Claim
    is_promoted: bool = False


@dataclass
class Queue:
    """The jobs of a sweep that are still to be run.

    jobs: all that are known now.
    promoted: which of these jobs, which were pruned, are to go on.
    prunes: whether the runs of a configuration are pruned and promoted together with its first one.
    tell: is given a line for each job that is not run because of that.
    propose: adds jobs, of other processes too; returns those that are new, none when the sweep needs no more.
    """

    folder: Path
    jobs: list[Job]
    has_ended: HasEnded
    promoted: Callable[[Sequence[str]], Sequence[str]] = lambda names: ()
    prunes: bool = False
    propose: Callable[[], Sequence[Job]] = lambda: ()
    tell: Callable[[str], None] = lambda line: None
    over: set[str] = field(default_factory=set)  # names of jobs that have ended, or failed for good
    again: set[str] = field(default_factory=set)  # those that failed here, and are to be tried again
    failed_before: dict[Path, str] = field(init=False)  # failures of earlier commands, also of jobs not yet known here

    def __post_init__(self) -> None:
        folders = {job.folder for job in self.jobs} | {path.parent for path in self.folder.glob(f"*/{STATUS}")}
        self.failed_before = {folder: _failure(folder) for folder in folders}

    def take(self) -> Taken | Later | None:
        """The next job; LATER while other processes run the rest; None when nothing is left to do."""
        with claim.held(self.folder / PLAN_LOCK):
            taken = self._take() or self._take_promoted()
            while taken is None and (new := self.propose()):
                self.jobs += new
                taken = self._take()
            return LATER if taken is None and self._others_at_work() else taken

    def try_again(self, job: Job) -> None:
        """Hand out a failed job once more."""
        self.again.add(job.name)

    def give_up(self, job: Job) -> None:
        """Never hand out this job again."""
        self.over.add(job.name)

    def left(self) -> list[Job]:
        """The jobs that have not ended."""
        return [job for job in self.jobs if not self.has_ended(job.folder)]

    def _take(self) -> Taken | None:
        for job in self.jobs:
            if not self._is_over(job) and (taken := self._claim(job, partial(self._is_due, job))):
                self.again.discard(job.name)
                if not self._prune_as_repetition(taken):
                    return taken
        return None

    def _prune_as_repetition(self, taken: Taken) -> bool:
        first = self._first_runs()[taken.job.name] if self.prunes else taken.job.name
        if first == taken.job.name or not is_pruned(self.folder / first):
            return False
        reason = f"pruned without a run, {with_run(first)}"
        RunDir(taken.job.folder).write_status("pruned", reason=reason, exit_code=0)
        taken.claim.release()
        self.tell(f"  job {taken.job.name} {reason}")
        return True

    def _first_runs(self) -> dict[str, str]:
        return first_runs({job.name: without_repeats(job.config.overrides) for job in self.jobs})

    def _take_promoted(self) -> Taken | None:
        jobs = {job.name: job for job in self.jobs if job.name not in self.over}
        for name in self.promoted(list(jobs)):
            taken = self._claim(jobs[name], partial(self._is_promoted, name))
            if taken and self._continue_repetitions(jobs[name]):
                _note_promotion(jobs[name])
                return Taken(taken.job, taken.claim, is_promoted=True)
            if taken:
                taken.claim.release()
        return None

    def _continue_repetitions(self, job: Job) -> bool:
        """Let the other runs of a configuration go on, too. Returns False when the process of one has not ended yet."""
        first = self._first_runs() if self.prunes else {}
        repetitions = [other for other in self.jobs if other is not job and first.get(other.name) == job.name]
        pruned = [other for other in repetitions if is_pruned(other.folder)]
        claims = [claim.claim(other.folder / CLAIM) for other in pruned]
        if all(claims):
            for other in pruned:
                _note_promotion(other)
        for made in claims:
            if made is not None:
                made.release()
        return all(claims)

    def _claim(self, job: Job, is_due: Callable[[], bool]) -> Taken | None:
        """The job, if no other process has it, and it is still due when it is this process's."""
        job.folder.mkdir(parents=True, exist_ok=True)
        made = claim.claim(job.folder / CLAIM)
        if made is None:
            return None
        if is_due() and not lock.is_locked(job.folder):  # `ptrun resume` holds that lock alone
            return Taken(job, made)
        made.release()
        return None

    def _is_due(self, job: Job) -> bool:
        return not self._is_over(job)

    def _is_promoted(self, name: str) -> bool:
        return name in self.promoted([name])

    def _is_over(self, job: Job) -> bool:
        if job.name in self.over:
            return True
        failure = _failure(job.folder)
        failed_since = failure and failure != self.failed_before.get(job.folder, "") and job.name not in self.again
        if (find.is_done(job.folder) and self.has_ended(job.folder)) or failed_since:
            self.over.add(job.name)
        return job.name in self.over or self.has_ended(job.folder)  # one that was pruned may be promoted yet

    def _others_at_work(self) -> bool:
        return any(not self._is_over(job) for job in self.jobs)


def _note_promotion(job: Job) -> None:
    """Write that a job is not pruned any more, but to be continued."""
    RunDir(job.folder).write_status("interrupted", reason="goes on, as it is among the best after all", exit_code=75)


def _failure(folder: Path) -> str:
    """What tells one failure of a job from the next; "" when its last run did not fail."""
    status = find.read_leniently(folder, STATUS)
    if status.get("state") != "failed":
        return ""
    with suppress(OSError):  # done over meanwhile
        written = (folder / STATUS).stat().st_mtime_ns  # two containers have the same numbers for their processes
        return f"{status.get('time')} {status.get('pid')} {status.get('host')} {written}"
    return ""
