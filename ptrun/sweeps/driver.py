"""Starts the jobs of a sweep, each in a process of its own, and says how each of them ended.

The folders of the jobs are the only record of what was done, so another process goes on with what is there, also after
this one was killed, and several processes work side by side.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptrun.build.slots import Slot
from ptrun.config.jobs import SweepConfig
from ptrun.config.sweep import GIB
from ptrun.errors import ResourceError
from ptrun.files.claim import BEAT_SECONDS
from ptrun.process import standard_input
from ptrun.process.children import TIMED_OUT, Child, Ended, ForkedChild, FreshChild
from ptrun.process.signals import StopSignals
from ptrun.runs import find
from ptrun.runs.folder import JOB, JOB_LOG, STATUS, RunDir
from ptrun.sweeps.live_table import LiveTable
from ptrun.sweeps.plan import Command, Job, write_job
from ptrun.sweeps.pool import Limit, Limits, Pool, Running
from ptrun.sweeps.queue import Queue, Taken, num_ended
from ptrun.sweeps.table import done_text, tested_text
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_bytes, format_seconds


@dataclass
class Driver:
    """Starts the jobs of one sweep and prints how each of them ended.

    tests: whether the jobs are evaluated on the test split. verb: what is done with them, for messages.
    until_eof: whether the end of standard input is a reason to stop. after_job: called when a job has ended.
    """

    config: SweepConfig
    folder: Path
    command: Command
    console: Console
    stop: StopSignals
    slots: Sequence[Slot]
    forks: bool
    tests: bool
    verb: str = "started"
    until_eof: bool = False
    after_job: Callable[[], None] = lambda: None
    attempts: dict[str, int] = field(default_factory=dict)
    failed: list[Job] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    queue: Queue = field(init=False)
    table: LiveTable = field(init=False)
    beaten: float = field(default_factory=time.monotonic)
    is_stop_told: bool = False

    def run(self, queue: Queue) -> None:
        """Run these jobs to their end, or until a signal or, with fail_fast, a failure."""
        settings = self.config.settings
        seconds = None if settings.timeout_minutes is None else 60 * settings.timeout_minutes
        most = None if settings.memory_gib is None else int(settings.memory_gib * GIB)
        self.queue = queue
        number = self.config.num_jobs if self.verb == "started" else len(queue.jobs)
        jobs = lambda: [(job.folder, job.config.overrides) for job in queue.jobs]  # noqa: E731
        self.table = LiveTable(self.console, self.config.axes, jobs, number)
        limits = Limits(seconds, most)
        try:
            Pool[Taken](self.slots, queue.take, self.start, self._ended, self.is_over, self.look, limits).run()
        finally:
            self.console.clear()

    def is_over(self) -> bool:
        """Whether no more jobs are to be started."""
        if self.until_eof and not self.stop.received and standard_input.has_ended():
            self.stop.received = "the end of its input"
        return bool(self.stop.received or (self.failed and self.config.settings.fail_fast))

    def start(self, taken: Taken, slot: Slot) -> Child:
        """Begin a job. One that was begun earlier goes on with the cores that it had, for equal bits."""
        from ptrun.sweeps import job as one_job

        job, claim = taken.job, taken.claim
        begun = find.read_leniently(job.folder, JOB)
        cores = int(begun.get("cores", slot.cores))
        write_job(job, cores=cores)
        was_pruned = taken.is_promoted or find.read_leniently(job.folder, STATUS).get("state") == "pruned"
        verb = "goes on" if was_pruned else self.verb
        self.console.event(f"  job {job.name} {verb}: {job.settings(self.config.axes)}")
        log = job.folder / JOB_LOG
        request = one_job.JobRequest(
            job.folder,
            job.config.loaded,
            job.config.overrides,
            self.command.words,
            tuple(self.command.conf_folders),
            cores,
            self.config.settings,
            slot.environment,
            self.tests,
        )
        with claim.file as file:  # from here on the child holds its lock
            if self.forks:
                return ForkedChild(lambda: one_job.run_forked(request, file), log)
            return FreshChild(request.words(file), log, slot.environment, [file.fileno()])

    def look(self, running: Sequence[Running[Taken]]) -> None:
        """Draw the table, and tell other machines that these jobs are run. One that they have taken is left to them."""
        if self.stop.received and not self.is_stop_told:
            self.is_stop_told = True
            self.console.note(f"Stopping ({self.stop.received}): each job saves its state after its next step.")
        self.table.draw()
        if time.monotonic() - self.beaten < BEAT_SECONDS:
            return
        self.beaten = time.monotonic()
        for place in running:
            if not place.job.claim.beat():
                place.child.kill()

    def _ended(self, place: Running[Taken], ended: Ended) -> None:
        self.end(place, ended)
        self.after_job()

    def end(self, place: Running[Taken], ended: Ended) -> None:
        """Print how a job ended, and write it into its folder where the job could not."""
        job, claim = place.job.job, place.job.claim
        if claim.regain():
            state = self._final_state(place, ended)
            claim.release()
        else:
            state = "is continued by another process"
        if state in ("done", "pruned"):
            self.seconds.append(place.seconds)
            how = self._how_ended(job, state)
            self.console.event(f"  job {job.name} {how}, {format_seconds(place.seconds)}{self._estimate()}")
            return
        if state != "failed":
            self.console.event(f"  job {job.name} {state or 'not begun'}")
            return
        self.attempts[job.name] = self.attempts.get(job.name, 0) + 1
        again = self.attempts[job.name] <= self.config.settings.retries and not self.stop.received
        reason = " ".join(str(find.read_leniently(job.folder, STATUS).get("reason", "")).split())
        self.console.error(f"job {job.name} failed{', and is tried again' if again else ''}: {reason}")
        if again:
            self.queue.try_again(job)
        else:
            self.queue.give_up(job)
            self.failed.append(job)

    def _how_ended(self, job: Job, state: str) -> str:
        """The result of a job that ended well, or why it was pruned."""
        if state == "pruned":
            return str(find.read_leniently(job.folder, STATUS).get("reason", ""))
        row = find.run_row(job.folder)
        return tested_text(row) if self.verb == "is tested" else done_text(row)

    def _final_state(self, place: Running[Taken], ended: Ended) -> str:
        """What status.json says; what it can't say, as of a process that was killed, is written first."""
        from ptrun.runs.ending import note_end

        run_dir = RunDir(place.job.job.folder)
        status = find.read_leniently(run_dir.path, STATUS)
        state = str(status.get("state", ""))
        if state in ("done", "pruned"):
            return state
        if self.is_over() and place.exceeded is None and ended.code in (75, -15):
            return "interrupted" if state == "running" else state
        if place.exceeded is not None:
            note_end(run_dir, *self._excess(place))
        elif ended.code < 0 or state not in ("failed", "interrupted"):
            code = ended.code if ended.code >= 0 else 128 - ended.code
            note_end(run_dir, f"The process of the job {ended.text}.{_memory(ended)}", code)
        elif state == "interrupted":
            note_end(run_dir, str(status.get("reason", "")), 75)
        return "failed"

    def _excess(self, place: Running[Taken]) -> tuple[str, int]:
        """Which limit a job has exceeded, and the exit code that stands for it."""
        settings = self.config.settings
        if place.exceeded is Limit.TIME:
            limit = f"{settings.timeout_minutes:g} minutes"
            return f"The job took longer than sweep.timeout_minutes allows ({limit}).", TIMED_OUT
        held = f"{place.held_bytes / GIB:.3g} GiB"
        return (
            f"The job held {held}, more than sweep.memory_gib allows ({settings.memory_gib:g}).",
            ResourceError.exit_code,
        )

    def _estimate(self) -> str:
        is_search = self.config.search is not None
        left = self.config.num_jobs - num_ended(self.folder, self.queue.jobs, self.queue.has_ended, is_search=is_search)
        if left <= 0 or self.verb != "started":
            return ""
        seconds = statistics.fmean(self.seconds) * left / len(self.slots)
        return f" ({left} to go, about {format_seconds(seconds)})"


def _memory(ended: Ended) -> str:
    """A hint where the system killed a process, as it does when memory runs out."""
    if ended.code != -9:
        return ""
    held = f" It held {format_bytes(ended.peak_bytes)}." if ended.peak_bytes else ""
    return f"{held} The system does this when memory runs out; sweep.jobs=1 leaves all of it to one job."
