"""`ptrun train -m`: runs the jobs of a sweep, each in a process of its own, and reports them in one table.

All jobs are checked before the first one starts. The folders of the jobs are the only record of what was done, so the
same command goes on with what is there, also after this process was killed, and several processes work side by side.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptrun.build.slots import Slot, slots
from ptrun.config.compose import Composer
from ptrun.config.jobs import SweepConfig, load_sweep
from ptrun.config.sweep import REPEATS
from ptrun.errors import Interrupted
from ptrun.files import lock
from ptrun.process.children import TIMED_OUT, Child, Ended, ForkedChild, FreshChild, can_fork
from ptrun.process.machine import available_memory_bytes, usable_cores
from ptrun.process.signals import StopSignals, stop_signals
from ptrun.process.startup import resting_collector
from ptrun.runs import find
from ptrun.runs.folder import JOB, JOB_LOG, STATUS, RunDir
from ptrun.sweeps import hydra_launch, leaderboard, search, table
from ptrun.sweeps.plan import Command, Job, place_jobs, sweep_folder, write_job, write_plan
from ptrun.sweeps.pool import Pool, Running
from ptrun.sweeps.queue import PLAN_LOCK, Queue, Taken
from ptrun.sweeps.trials import Trials
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_metric, format_seconds


@dataclass
class Driver:
    """Starts the jobs of one sweep and prints how each of them ended.

    tests: whether the jobs are evaluated on the test split. verb: what is done with them, for messages.
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
    attempts: dict[str, int] = field(default_factory=dict)
    failed: list[Job] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    queue: Queue = field(init=False)

    def run(self, queue: Queue) -> None:
        """Run these jobs to their end, or until a signal or, with fail_fast, a failure."""
        settings = self.config.settings
        limit = None if settings.timeout_minutes is None else 60 * settings.timeout_minutes
        self.queue = queue
        Pool[Taken](self.slots, queue.take, self.start, self.end, self.is_over, limit).run()

    def is_over(self) -> bool:
        """Whether no more jobs are to be started."""
        return bool(self.stop.received or (self.failed and self.config.settings.fail_fast))

    def start(self, taken: Taken, slot: Slot) -> Child:
        """Begin a job. One that was begun earlier goes on with the cores that it had, for equal bits."""
        from ptrun.sweeps import job as one_job

        job, claim = taken.job, taken.claim
        begun = find.read_leniently(job.folder, JOB)
        cores = int(begun.get("cores", slot.cores))
        write_job(job, cores=cores)
        self.console.text(f"  job {job.name} {self.verb}: {job.settings(self.config.axes)}")
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
        with claim:  # from here on the child holds it
            if self.forks:
                return ForkedChild(lambda: one_job.run(request, claim), log)
            return FreshChild(request.words(claim), log, slot.environment, [claim.fileno()])

    def end(self, place: Running[Taken], ended: Ended) -> None:
        """Print how a job ended, and write it into its folder where the job could not."""
        job = place.job.job
        state = self._final_state(place, ended)
        if state in ("done", "pruned"):
            self.seconds.append(place.seconds)
            reason = str(find.read_leniently(job.folder, STATUS).get("reason", ""))
            how = (
                reason
                if state == "pruned"
                else f"tested: {_tested(job)}"
                if self.verb == "is tested"
                else f"done: {_value(job)}"
            )
            self.console.text(f"  job {job.name} {how}, {format_seconds(place.seconds)}{self._estimate()}")
            return
        if state != "failed":
            self.console.text(f"  job {job.name} {state or 'not begun'}")
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

    def _final_state(self, place: Running[Taken], ended: Ended) -> str:
        """What status.json says; what it can't say, as of a process that was killed, is written first."""
        from ptrun.runs.ending import note_end

        run_dir = RunDir(place.job.job.folder)
        status = find.read_leniently(run_dir.path, STATUS)
        state = str(status.get("state", ""))
        if state in ("done", "pruned"):
            return state
        if self.is_over() and not place.timed_out and ended.code in (75, -15):
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
        left = self.config.num_jobs - sum(self.queue.has_ended(path.parent) for path in self.folder.glob(f"*/{STATUS}"))
        if left <= 0 or self.verb != "started":
            return ""
        seconds = statistics.fmean(self.seconds) * left / len(self.slots)
        return f" ({left} to go, about {format_seconds(seconds)})"


def run(composer: Composer, overrides: Sequence[str], words: Sequence[str], quiet: bool) -> int:
    """Check all jobs, run them, print and write the table. Returns 0, or 1 when a job failed.

    Raises ConfigError before any job runs, and Interrupted after a signal.
    """
    config = load_sweep(composer, overrides)
    if config is None:
        return hydra_launch.run(composer, overrides, words, quiet)
    if config.search is not None:
        search.require_libraries(config.settings.name)
    folder = sweep_folder(config)
    jobs = place_jobs(config.jobs, folder)
    folder.mkdir(parents=True, exist_ok=True)
    command = Command(words, overrides, composer.config_name, composer.folders)
    with lock.wait_for_lock(folder / PLAN_LOCK):
        jobs = place_jobs(config.jobs, folder)
        write_plan(config, folder, jobs, command)
    return _run(config, jobs, folder, command, Console(quiet))


def _run(config: SweepConfig, jobs: list[Job], folder: Path, command: Command, console: Console) -> int:
    settings = config.settings
    has_ended = find.is_done if settings.pruner == "none" else find.has_ended
    queue = Queue(folder, jobs, has_ended)
    if config.search is not None:
        queue.propose = Trials(folder, settings, config.search).more
    num_ended = sum(has_ended(path.parent) for path in folder.glob(f"*/{STATUS}"))
    num_left = max(config.num_jobs - num_ended, 1)
    example = config.example.loaded.config
    places = slots(settings.jobs, [example] * num_left, usable_cores(), available_memory_bytes())
    _show_plan(config, folder, num_ended, places, console)
    with stop_signals() as stop, stop.only_noted():
        driver = Driver(config, folder, command, console, stop, places, warm_up(console), _tests_all(config))
        console.text()
        driver.run(queue)
        if settings.test == "best" and not driver.tests and not driver.is_over():
            _test_best(driver, queue)
    table.report(leaderboard.all_rows(folder), folder, console)
    num_left = len(queue.left())
    if stop.received:
        raise Interrupted(
            f"Stopped by {stop.received}: {len(queue.jobs) - num_left} of {config.num_jobs} jobs are done. "
            f"The same command goes on with the others in {folder}."
        )
    return 1 if num_left else 0


def _show_plan(config: SweepConfig, folder: Path, num_ended: int, places: Sequence[Slot], console: Console) -> None:
    done = f", of which {num_ended} are done" if num_ended else ""
    settings, rows = config.settings, [("jobs", f"{config.num_jobs}{done}")]
    if config.search is not None:
        repeats = len(config.search.repeats)
        by = f"{settings.name}, {settings.trials} trials{f' of {repeats} runs each' if repeats > 1 else ''}"
        rows.append(("search", f"{by}, seed {settings.seed}"))
    if settings.pruner != "none":
        rows.append(("pruning", f"{settings.pruner}, from epoch {settings.min_epochs} on"))
    rows += [
        ("axes", ", ".join(config.axes) or "none"),
        ("at once", f"{len(places)}, each with {places[0].cores} of the cores"),
        ("folder", str(folder)),
    ]
    console.header(rows, "ptrun train -m")


def _tests_all(config: SweepConfig) -> bool:
    """Whether every job is evaluated on the test split as it ends.

    So it is where the best one can't be tested later, where all jobs are one configuration, and with an axis over
    folds, whose predictions belong together.
    """
    if config.settings.test != "best":
        return config.settings.test == "all"
    is_one = config.search is None and not set(config.axes) - set(REPEATS)
    return is_one or "split.fold" in config.axes or config.example.loaded.config.checkpoint.name == "none"


def _test_best(driver: Driver, queue: Queue) -> None:
    """Evaluate the jobs of the best configuration on the test split."""
    names = leaderboard.best_jobs(leaderboard.all_rows(driver.folder))
    jobs = [job for job in queue.jobs if job.name in names and find.is_done(job.folder)]
    driver.tests, driver.verb = True, "is tested"
    driver.run(Queue(driver.folder, jobs, _is_done_and_tested))


def _is_done_and_tested(folder: Path) -> bool:
    return find.is_done(folder) and find.is_tested(folder)


def warm_up(console: Console) -> bool:
    """Import what every job needs, once. Returns whether jobs can be forked from this process."""
    with resting_collector():
        from ptrun.metrics import compute
        from ptrun.runs import preload, resume, session  # noqa: F401

        compute.preload(["roc_auc"])
    forks = can_fork()
    if not forks:
        console.note(
            "Each job starts a Python process of its own, which takes seconds: a copy of this one could hang, "
            "because a library or a plugin has started threads in it."
        )
    return forks


def _value(job: Job) -> str:
    row = find.run_row(job.folder)
    return f"{row['monitor']} {format_metric(row['monitor'], row['value'])}"


def _tested(job: Job) -> str:
    results = find.run_row(job.folder)["test"]
    return ", ".join(f"{name} {format_metric(name, value)}" for name, value in list(results.items())[:2])


def _memory(ended: Ended) -> str:
    """A hint where the system killed a process, as it does when memory runs out."""
    if ended.code != -9:
        return ""
    held = f" It held {ended.peak_bytes / 1e9:.1f} GB." if ended.peak_bytes else ""
    return f"{held} The system does this when memory runs out; sweep.jobs=1 leaves all of it to one job."
