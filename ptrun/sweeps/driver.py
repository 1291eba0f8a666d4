"""`ptrun train -m`: one job per combination, each in a process of its own, and one table at the end.

All jobs are checked before the first one starts. The folders of the jobs are the only record of what was done, so the
same command goes on with what is there, also after this process was killed.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptrun.build.slots import Slot, slots
from ptrun.config.compose import Composer
from ptrun.config.jobs import SweepConfig, load_sweep
from ptrun.errors import Interrupted
from ptrun.files import lock
from ptrun.process.children import TIMED_OUT, Child, Ended, ForkedChild, FreshChild, can_fork
from ptrun.process.machine import available_memory_bytes, usable_cores
from ptrun.process.signals import StopSignals, stop_signals
from ptrun.process.startup import resting_collector
from ptrun.runs import find
from ptrun.runs.folder import JOB, JOB_LOG, STATUS, RunDir
from ptrun.sweeps import hydra_launch, leaderboard, table
from ptrun.sweeps.plan import Job, place_jobs, sweep_folder, write_plan
from ptrun.sweeps.pool import Pool, Running
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_bytes, format_metric, format_seconds


@dataclass
class Driver:
    """Starts the jobs of one sweep and prints how each of them ended."""

    config: SweepConfig
    folder: Path
    command: Sequence[str]
    conf_folders: tuple[Path, ...]
    console: Console
    stop: StopSignals
    slots: Sequence[Slot]
    forks: bool = False
    attempts: dict[str, int] = field(default_factory=dict)
    failed: list[Job] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    remaining: int = 0

    def run(self, jobs: Sequence[Job]) -> None:
        """Run these jobs to their end, or until a signal or, with fail_fast, a failure."""
        settings = self.config.settings
        limit = None if settings.timeout_minutes is None else 60 * settings.timeout_minutes
        self.forks = warm_up()
        if not self.forks:
            self.console.note(
                "Each job starts a Python process of its own, which takes seconds: a copy of this one could hang, "
                "because a library or a plugin has started threads in it."
            )
        self.remaining = len(jobs)
        Pool[Job](self.slots, self.start, self.end, self.is_over, limit).run(jobs)

    def is_over(self) -> bool:
        """Whether no more jobs are to be started."""
        return bool(self.stop.received or (self.failed and self.config.settings.fail_fast))

    def start(self, job: Job, slot: Slot) -> Child:
        """Begin a job. One that was begun earlier goes on with the cores that it had, for equal bits."""
        from ptrun.sweeps import job as one_job

        run_dir = RunDir(job.folder)
        job.folder.mkdir(parents=True, exist_ok=True)
        begun = find.read_leniently(job.folder, JOB)
        cores = int(begun.get("cores", slot.cores))
        run_dir.write_json(JOB, {"id": job.config.identity, "overrides": list(job.config.overrides), "cores": cores})
        self.console.text(f"  job {job.name} started: {job.settings(self.config.axes)}")
        log = job.folder / JOB_LOG
        if not self.forks:
            words = ["-m", one_job.__name__, str(self.folder.resolve()), job.name, str(cores), str(os.getpid())]
            return FreshChild(words, log, slot.environment)
        loaded, overrides = job.config.loaded, job.config.overrides
        request = one_job.JobRequest(
            job.folder, loaded, overrides, self.command, self.conf_folders, cores, slot.environment
        )
        return ForkedChild(lambda: one_job.run(request), log)

    def end(self, place: Running[Job], ended: Ended) -> bool:
        """Print how a job ended, and write it into its folder where the job could not. Returns whether to try again."""
        job = place.job
        state = self._final_state(place, ended)
        self.remaining -= 1
        if state == "done":
            self.seconds.append(place.seconds)
            self.console.text(
                f"  job {job.name} done: {_value(job)}, {format_seconds(place.seconds)}{self._estimate()}"
            )
            return False
        if state != "failed":
            self.console.text(f"  job {job.name} {state or 'not begun'}")
            return False
        self.attempts[job.name] = self.attempts.get(job.name, 0) + 1
        again = self.attempts[job.name] <= self.config.settings.retries and not self.stop.received
        reason = " ".join(str(find.read_leniently(job.folder, STATUS).get("reason", "")).split())
        self.console.error(f"job {job.name} failed{', and is tried again' if again else ''}: {reason}")
        self.remaining += again
        self.failed += [] if again else [job]
        return again

    def _final_state(self, place: Running[Job], ended: Ended) -> str:
        """What status.json says; what it can't say, as of a process that was killed, is written first."""
        from ptrun.runs.ending import note_end

        run_dir = RunDir(place.job.folder)
        status = find.read_leniently(run_dir.path, STATUS)
        state = str(status.get("state", ""))
        if state == "done" or (self.is_over() and not place.timed_out and ended.code in (75, -15)):
            return "interrupted" if state == "running" else state
        if place.timed_out:
            limit = f"{self.config.settings.timeout_minutes:g} minutes"
            note_end(run_dir, f"The job took longer than sweep.timeout_minutes allows ({limit}).", TIMED_OUT)
        elif ended.code < 0 or state not in ("failed", "interrupted"):
            code = ended.code if ended.code >= 0 else 128 - ended.code
            note_end(run_dir, f"The process of the job {ended.text}.{_memory(ended)}", code)
        elif state == "interrupted":
            note_end(run_dir, str(status.get("reason", "")), 75)
        return "failed"

    def _estimate(self) -> str:
        if not self.remaining:
            return ""
        left = statistics.fmean(self.seconds) * self.remaining / len(self.slots)
        return f" ({self.remaining} to go, about {format_seconds(left)})"


def run(composer: Composer, overrides: Sequence[str], command: Sequence[str], quiet: bool) -> int:
    """Check all jobs, run them, print and write the table. Returns 0, or 1 when a job failed.

    Raises ConfigError before any job runs, and Interrupted after a signal.
    """
    config = load_sweep(composer, overrides)
    if config is None:
        return hydra_launch.run(composer, overrides, command, quiet)
    for note in composer.notes if not quiet else ():
        print(f"note: {note}")
    folder = sweep_folder(config)
    jobs = place_jobs(config, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with lock.lock(folder):
        write_plan(config, folder, jobs, command, composer.folders)
        return _run(config, jobs, folder, command, composer.folders, Console(quiet))


def _run(
    config: SweepConfig,
    jobs: Sequence[Job],
    folder: Path,
    command: Sequence[str],
    conf_folders: tuple[Path, ...],
    console: Console,
) -> int:
    todo = [job for job in jobs if not find.is_done(job.folder)]
    configs = [job.config.loaded.config for job in todo or jobs]
    places = slots(config.settings.jobs, configs, usable_cores(), available_memory_bytes())
    console.header(
        [
            ("jobs", f"{len(jobs)}{f', of which {len(jobs) - len(todo)} are done' if len(todo) < len(jobs) else ''}"),
            ("axes", ", ".join(config.axes) or "none"),
            ("at once", f"{len(places)}, each with {places[0].cores} of the cores"),
            ("folder", str(folder)),
        ],
        "ptrun train -m",
    )
    with stop_signals() as stop, stop.only_noted():
        driver = Driver(config, folder, command, conf_folders, console, stop, places)
        if todo:
            console.text()
            driver.run(todo)
    from ptrun.sweeps import cross_validation  # needs NumPy and torch

    rows = leaderboard.all_rows(folder)
    table.report(rows, folder, console)
    cross_validation.report(folder, rows, console)
    left = sum(not find.is_done(job.folder) for job in jobs)
    if stop.received:
        raise Interrupted(
            f"Stopped by {stop.received}: {len(jobs) - left} of {len(jobs)} jobs are done. "
            f"The same command goes on with the others in {folder}."
        )
    return 1 if left else 0


def warm_up() -> bool:
    """Import what every job needs, once. Returns whether jobs can be forked from this process."""
    with resting_collector():
        from ptrun.metrics import compute
        from ptrun.runs import preload, resume, session  # noqa: F401

        compute.preload(["roc_auc"])
    return can_fork()


def _value(job: Job) -> str:
    row = find.run_row(job.folder)
    return f"{row['monitor']} {format_metric(row['monitor'], row['value'])}"


def _memory(ended: Ended) -> str:
    """A hint where the system killed a process, as it does when memory runs out."""
    if ended.code != -9:
        return ""
    held = f" It held {format_bytes(ended.peak_bytes)}." if ended.peak_bytes else ""
    return f"{held} The system does this when memory runs out; sweep.jobs=1 leaves all of it to one job."
