"""`ptrun train -m`: one job per combination, through Hydra's sweeper and launcher, and one table at the end.

The configurations of all jobs are checked before the first one starts. A job that fails does not stop the others.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptrun.config import compose, load
from ptrun.config.compose import Composed, Composer
from ptrun.config.overrides import without_sweeps
from ptrun.config.run_config import RunConfig
from ptrun.errors import ConfigError, Interrupted, PtrunError
from ptrun.runs import find
from ptrun.runs.folder import ERROR, create_run_dir
from ptrun.sweeps import table
from ptrun.terminal.console import Console


@dataclass(frozen=True)
class Job:
    """Hydra's launcher calls this once for each combination.

    It holds only plain values, and imports torch when it is called: a launcher may pickle it and call it elsewhere.
    """

    command: Sequence[str]
    folders: tuple[Path, ...]
    quiet: bool

    def __call__(self, composed: Composed) -> float | None:
        """Train one combination and return its monitored value, or None after an error, which is reported."""
        from ptrun import plugins
        from ptrun.runs import session

        folder = compose.job_folder()
        plugins.load(list(composed.get("plugins") or []))
        config = load.check(composed, self.folders, plugins.REGISTRIES if composed.get("plugins") else {})
        as_written = compose.plain(composed, resolve=False)
        overrides = compose.job_overrides()
        if not self.quiet:
            print(f"\n[{folder.name}] {' '.join(overrides)}")
        try:
            return session.run(
                session.TrainRequest(config, as_written, overrides, self.command, self.folders, folder, self.quiet)
            ).value
        except Interrupted as stopped:
            raise KeyboardInterrupt from stopped
        except PtrunError as error:
            Console(self.quiet).error([str(error)])
        except Exception:  # noqa: BLE001 (an unexpected error of one job must not stop the others)
            (folder / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
            Console(self.quiet).error(f"Job {folder.name} failed unexpectedly; {folder / ERROR} has the details.")
        return None


def run(composer: Composer, overrides: Sequence[str], command: Sequence[str], quiet: bool) -> int:
    """Check all jobs, run them, print and write the table. Returns 0, or 1 when a job failed. Raises ConfigError."""
    jobs, first = check_jobs(composer, overrides)
    users_folder = composer.sweep_dir(overrides)
    folder = Path(users_folder) if users_folder else create_run_dir(first.output_dir, ("sweep",)).path
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(quiet)
    console.header(
        [("jobs", str(len(jobs)) if jobs else "as the sweeper decides"), ("folder", str(folder))], "ptrun train -m"
    )
    if not users_folder:
        overrides = [*overrides, f"hydra.sweep.dir='{folder}'"]
    earlier = {row["job"] for row in find.sweep_rows(folder)}  # of another sweep in a folder that the user chose
    try:
        composer.multirun(overrides, Job(tuple(command), composer.folders, quiet))
    finally:
        rows = find.sweep_rows(folder)
        table.report(rows, folder, console)
    states = [row["state"] for row in rows if row["job"] not in earlier]
    return _exit_code(states, len(jobs) or len(states), folder, console)


def _exit_code(states: Sequence[str], expected: int, folder: Path, console: Console) -> int:
    """0 when every job that was asked for made a run that is done, else 1. states: of the runs of this sweep."""
    missing = expected - len(states)
    if missing > 0:
        console.error([f"{missing} of {expected} jobs of this sweep made no run in {folder}. Their errors are above."])
    return 0 if states and missing <= 0 and all(state == "done" for state in states) else 1


def check_jobs(composer: Composer, overrides: Sequence[str]) -> tuple[list[list[str]], RunConfig]:
    """The overrides of each job, and the configuration of the first one; all are composed and checked.

    There are no jobs when the sweeper chooses them only while it runs. Raises ConfigError, each problem with its job.
    """
    load.import_plugins(composer, without_sweeps(overrides))
    composer.check_overrides([text for text in overrides if text not in composer.unknown_choices(overrides)])
    jobs = composer.jobs(overrides)
    if jobs is None:
        return [], load.load_config(composer, without_sweeps(overrides)).config
    jobs_by_problem: dict[str, list[str]] = {}
    configs = []
    for job in jobs:
        try:
            configs.append(load.load_config(composer, job).config)
        except ConfigError as error:
            for problem in error.problems:
                jobs_by_problem.setdefault(problem, []).append(" ".join(job))
    if jobs_by_problem:
        raise ConfigError(
            [
                problem if len(affected) == len(jobs) else f"{problem} (job: {affected[0]})"
                for problem, affected in jobs_by_problem.items()
            ]
        )
    return jobs, configs[0]
