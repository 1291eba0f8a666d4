"""`ptrun train -m` and `ptrun sweep work`: a sweep as a whole, from its plan to its table.

All jobs are checked before the first one starts. The same command goes on with what is in the folder of the sweep.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.build.slots import JOB_BYTES, slots
from ptrun.config import repeated_keys
from ptrun.config.compose import Composer
from ptrun.config.composition import JobConfig
from ptrun.config.jobs import SweepConfig, load_sweep
from ptrun.config.load import thaw
from ptrun.config.overrides import quoted
from ptrun.config.sweep import GIB, REPEATS, SweepSettings
from ptrun.errors import CheckpointError, ConfigError, Interrupted
from ptrun.files import claim
from ptrun.files.writable import make_writable
from ptrun.process import memory
from ptrun.process.machine import available_memory_bytes, usable_cores
from ptrun.process.signals import stop_signals
from ptrun.runs import find, git
from ptrun.sweeps import hydra_launch, leaderboard, pruning, report, search, sources, table, verdicts
from ptrun.sweeps.driver import Driver
from ptrun.sweeps.launch.start import check_launch, start_workers
from ptrun.sweeps.launch.workers import Workers
from ptrun.sweeps.plan import Command, Job, place_jobs, sweep_folder, write_plan
from ptrun.sweeps.queue import PLAN_LOCK, HasEnded, Queue, num_ended
from ptrun.sweeps.storage import Mirror
from ptrun.sweeps.trials import Trials
from ptrun.sweeps.warm_up import warm_up
from ptrun.sweeps.watcher import Watcher
from ptrun.terminal.console import Console

_LOOK_SECONDS = 1.0  # between two looks at the folder while others work on it


@dataclass(frozen=True)
class Finished:
    """The folder of a sweep that has come to its end, and the exit code: 0, or 1 when jobs have failed."""

    folder: Path
    code: int


def run(composer: Composer, overrides: Sequence[str], words: Sequence[str], quiet: bool) -> Finished:
    """Check all jobs, run them, print and write the table.

    Raises ConfigError before any job runs, and Interrupted after a signal.
    """
    repeated_keys.refuse(overrides)
    config = load_sweep(composer, overrides)
    if config is None:
        return Finished(*hydra_launch.run(composer, overrides, words, quiet))
    for note in composer.notes if not quiet else ():
        print(f"note: {note}")
    _check_machine(config)
    check_launch(config.settings)
    folder = sweep_folder(config)
    place_jobs(config.jobs, folder)  # finds two jobs in one folder before there is any
    make_writable(folder, "sweep.dir")
    command = Command(words, overrides, composer.config_name, composer.folders)
    changed, jobs = _write_plan(config, folder, composer, command)
    for note in changed if not quiet else ():
        print(f"note: {note}")
    if config.settings.launch != "none":
        return _launch(config, jobs, folder, Console(quiet))
    return _run(config, jobs, folder, command, Console(quiet), "ptrun train -m")


def _write_plan(config: SweepConfig, folder: Path, composer: Composer, command: Command) -> tuple[list[str], list[Job]]:
    """Write the plan, and leave a search to copies of its sources. Returns notes on edited sources, and the jobs."""
    configs = [job.loaded.config for job in (config.example, *config.jobs)]
    used = composer.folders, list(dict.fromkeys(file for each in configs for file in each.plugins))
    with claim.held(folder / PLAN_LOCK):
        changed, frozen = sources.changes(folder, *used), sources.freeze(folder, *used)
        jobs = place_jobs(config.jobs, folder)
        write_plan(config, folder, jobs, command, frozen)
    if config.search is not None and composer.folders:
        copies = [folder.resolve() / path for path in frozen["conf_folders"]]
        config.search.composition.composer = Composer(composer.config_name, copies)
    return changed, jobs


def work(folder: Path, more: Sequence[str], quiet: bool, until_eof: bool = False) -> Finished:
    """Take jobs from the folder of a sweep until none is left, beside other processes that do.

    Its jobs are those of the plan, whatever has become of YAML files and plugins since. more: settings of the sweep
    for this process, as sweep.jobs=1. until_eof: whether to stop when standard input ends.
    """
    folder = folder.resolve()
    plan = find.read_plan(folder)
    if "overrides" not in plan:
        raise CheckpointError(f"{folder}: sweep.json does not say how the sweep was started. Start it again there.")
    conf_folders = sources.thaw(folder, plan)
    with contextlib.chdir(plan["working_folder"] if Path(plan["working_folder"]).is_dir() else os.getcwd()):
        composer = Composer(plan["config_name"], conf_folders)
        overrides = [*plan["overrides"], "sweep.launch=none", *more, f"sweep.dir={quoted(str(folder))}"]
        config = load_sweep(composer, overrides)
        assert config is not None  # only such a sweep has a plan
        _check_machine(config)
        jobs = [_planned(folder, job, conf_folders) for job in plan["jobs"] if not job.get("earlier")]
        command = Command(plan["command"], overrides, composer.config_name, conf_folders)
        return _run(config, jobs, folder, command, Console(quiet), "ptrun sweep work", until_eof)


def _check_machine(config: SweepConfig) -> None:
    """Raise ConfigError for a search whose libraries are not here, and for a limit that can't be held here."""
    settings = config.settings
    if config.search is not None:
        search.require_libraries(settings.name)
    if settings.memory_gib is not None and settings.launch == "none" and not memory.can_measure():
        raise ConfigError(
            f"sweep.memory_gib: the memory of a job is known on Linux only (/proc), so it can't be limited to "
            f"{settings.memory_gib:g} GiB here. Leave it out."
        )


def _planned(folder: Path, job: Mapping[str, Any], conf_folders: tuple[Path, ...]) -> Job:
    return Job(folder / job["job"], JobConfig(job["id"], job["overrides"], thaw(job["config"], conf_folders), ""))


def _run(
    config: SweepConfig,
    jobs: list[Job],
    folder: Path,
    command: Command,
    console: Console,
    title: str,
    until_eof: bool = False,
) -> Finished:
    settings = config.settings
    has_ended = _has_ended(settings)
    queue = Queue(
        folder,
        jobs,
        has_ended,
        promoted=lambda names: pruning.promoted(settings, folder, names),
        prunes=settings.pruner != "none",
        tell=console.event,
        propose=Trials(folder, settings, config.search).more if config.search is not None else lambda: (),
    )
    done = _num_done(config, queue.jobs, folder)
    configs = [job.config.loaded.config for job in queue.left()]
    configs = configs or [config.example.loaded.config] * max(config.num_jobs - done, 1)
    job_bytes = JOB_BYTES if settings.memory_gib is None else settings.memory_gib * GIB
    places = slots(settings.jobs, configs, usable_cores(), available_memory_bytes(), job_bytes)
    at_once = f"{len(places)}, each with {places[0].cores} of the cores"
    rows = _plan_rows(config, done)
    console.header([*rows, ("at once", at_once), ("folder", str(folder))], title)
    with stop_signals() as stop, stop.only_noted(), git.asked_once():
        forks, tests = warm_up({each.dataset.name for each in configs}, console), _tests_all(config)
        mirror = _mirror(config, folder, forks)
        driver = Driver(config, folder, command, console, stop, places, forks, tests, until_eof=until_eof)
        if mirror is not None:
            driver.after_job = mirror.begin
        console.text()
        driver.run(queue)
        if settings.test == "best" and not driver.tests and not driver.is_over():
            _test_best(driver, queue)
    _report(folder, console, config, plots=not stop.received)
    if mirror is not None and not stop.received and (problem := mirror.finish()):
        console.warn(problem)
    left = queue.left()
    if stop.received:
        raise Interrupted(
            f"Stopped by {stop.received}: {len(queue.jobs) - len(left)} of {config.num_jobs} jobs are done. "
            f"The same command goes on with the others in {folder}."
        )
    return Finished(folder, 1 if left else 0)


def _mirror(config: SweepConfig, folder: Path, forks: bool) -> Mirror | None:
    if config.settings.storage is None or config.search is None:
        return None
    return Mirror(folder, config.settings, config.search.space, forks)


def _launch(config: SweepConfig, jobs: Sequence[Job], folder: Path, console: Console) -> Finished:
    """Start workers elsewhere, show how their jobs do, and at last the table."""
    with stop_signals() as stop, stop.only_noted():
        console.header(
            [*_plan_rows(config, _num_done(config, jobs, folder)), ("folder", str(folder))], "ptrun train -m"
        )
        workers = start_workers(config.settings, folder)
        console.note(f"Workers: {workers.text}.")
        console.text()
        watcher = Watcher(folder, console, config.axes, config.num_jobs)
        try:
            while workers.are_alive() and not stop.received:
                _look(watcher, workers, console)
                time.sleep(_LOOK_SECONDS)
            _look(watcher, workers, console)
        finally:
            said = workers.stop()
            console.clear()
        watcher.tell()
    _report(folder, console, config, plots=not stop.received)
    left = config.num_jobs - _num_done(config, jobs, folder)
    if stop.received:
        raise Interrupted(f"Stopped by {stop.received}. {said} `ptrun sweep {folder}` shows how far the sweep is.")
    names = {job.name for job in jobs} if config.search is None else None
    rows = [row for row in leaderboard.all_rows(folder) if names is None or row["job"] in names]
    failed = sum(row["state"] == "failed" for row in rows)
    if (unfinished := left - failed) > 0:
        console.error(
            f"{unfinished} of {config.num_jobs} jobs are not done, and no worker is left. The same command starts "
            "workers again and goes on with them."
        )
    return Finished(folder, 1 if left > 0 else 0)


def _look(watcher: Watcher, workers: Workers, console: Console) -> None:
    """Print what has become of jobs and workers since the last look."""
    watcher.look()
    for problem in workers.problems():
        console.error(problem)


def _report(folder: Path, console: Console, config: SweepConfig, *, plots: bool) -> None:
    """Print the tables; write results.csv and the page, with figures if there is time for them."""
    from ptrun.sweeps import cross_validation  # needs NumPy and torch

    rows = leaderboard.all_rows(folder)
    wanted = config.example.loaded.config.plots if config.settings.plots == "auto" else bool(config.settings.plots)
    page = report.write(folder, rows, console, plots=plots and wanted)
    table.report(rows, folder, console, config.settings.objectives or (), page)
    cross_validation.report(folder, rows, console)
    verdicts.report(folder, rows, console)
    table.report_next(rows, folder, console)


def _num_done(config: SweepConfig, jobs: Sequence[Job], folder: Path) -> int:
    return num_ended(folder, jobs, _has_ended(config.settings), is_search=config.search is not None)


def _has_ended(settings: SweepSettings) -> HasEnded:
    """Without a pruner, a job that an earlier command has pruned is trained to its end."""
    return find.is_done if settings.pruner == "none" else find.has_ended


def _plan_rows(config: SweepConfig, done: int) -> list[tuple[str, str]]:
    ended = f", {done} of them done" if done else ""
    settings, rows = config.settings, [("jobs", f"{config.num_jobs}{ended}")]
    if config.search is not None:
        repeats = len(config.search.repeats)
        by = f"{settings.name}, {settings.trials} trials{f' of {repeats} runs each' if repeats > 1 else ''}"
        rows.append(("search", f"{by}, seed {settings.seed}"))
    if settings.pruner != "none":
        rows.append(("pruning", f"{settings.pruner}, from epoch {settings.min_epochs} on"))
    paired = settings.paired or []
    axes = [*([" with ".join(paired)] if paired else []), *(key for key in config.axes if key not in paired)]
    return [*rows, ("axes", ", ".join(axes) or "none")]


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
    jobs = [job for job in queue.jobs if job.name in names]
    driver.tests, driver.verb = True, "is tested"
    driver.run(Queue(driver.folder, jobs, _is_done_and_tested))


def _is_done_and_tested(folder: Path) -> bool:
    return find.is_done(folder) and find.is_tested(folder)
