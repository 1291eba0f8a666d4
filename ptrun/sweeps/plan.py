"""The folder of a sweep and the folders of its jobs; `sweep.json` holds the jobs of a grid with their configurations.

A job is found again by its identity, which job.json in its folder holds, so that the same command goes on with what is
there, and a command with more values adds jobs. How far a job is, only its own folder says.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.config.composition import JobConfig
from ptrun.config.jobs import SweepConfig
from ptrun.errors import ConfigError
from ptrun.runs import find
from ptrun.runs.configurations import settings_text
from ptrun.runs.folder import JOB, SWEEP_PLAN, RunDir, create_run_dir, unresolved_environment


@dataclass(frozen=True)
class Job:
    """One job and its folder."""

    folder: Path
    config: JobConfig

    @property
    def name(self) -> str:
        """The name of the folder within that of the sweep."""
        return self.folder.name

    def settings(self, axes: Sequence[str]) -> str:
        """The values of the axes, as typed."""
        return settings_text(self.config.overrides, axes)


@dataclass(frozen=True)
class Command:
    """What started a sweep, so that another process can work on it. overrides: as given."""

    words: Sequence[str]
    overrides: Sequence[str]
    config_name: str
    conf_folders: Sequence[Path]


def sweep_folder(config: SweepConfig) -> Path:
    """The folder of a sweep: the user's, the newest one of the same command, or a new one."""
    if config.folder:
        return Path(config.folder).expanduser()
    output_dir = config.example.loaded.config.output_dir
    if config.settings.dir == "auto":
        signature = _signature(config)
        for folder in find.sweeps(output_dir):
            if find.read_plan(folder).get("signature") == signature:
                return folder
    return create_run_dir(output_dir, ("sweep",)).path


def place_jobs(configs: Sequence[JobConfig], folder: Path) -> list[Job]:
    """Each job with its folder: the one that it has already, or a new one. Raises ConfigError when two would share one.

    Nothing is written.
    """
    folders = known_folders(folder)
    taken = {path.name for path in (*folder.glob("*"), *folders.values())}
    number = max((int(name) + 1 for name in taken if name.isdigit()), default=0)
    jobs = []
    for job in configs:
        path = folders.get(job.identity)
        if path is None:
            path = folder / (job.subdir or str(number))
            number += not job.subdir
            if path.name in taken:
                raise ConfigError(
                    f"hydra.sweep.subdir: the folder {path} is that of another job. Give each job its own folder, as "
                    "the default does: hydra.sweep.subdir='${hydra.job.num}'."
                )
        taken.add(path.name)
        jobs.append(Job(path, job))
    return jobs


def known_folders(folder: Path) -> dict[str, Path]:
    """Identity → folder, of all jobs that this sweep has."""
    begun = {_identity(path): path.parent for path in folder.glob(f"*/{JOB}")}
    planned = find.read_plan(folder).get("jobs", [])
    return begun | {job["id"]: folder / job["job"] for job in planned if job["id"] not in begun}


def write_plan(
    config: SweepConfig, folder: Path, jobs: Sequence[Job], command: Command, sources: Mapping[str, Any]
) -> None:
    """Write `sweep.json`. sources: what `sources.freeze` returns.

    The jobs of earlier commands in this folder stay in its table, but no process runs them.
    """
    now = {job.config.identity for job in jobs}
    earlier = [{**job, "earlier": True} for job in find.read_plan(folder).get("jobs", []) if job["id"] not in now]
    RunDir(folder).write_json(
        SWEEP_PLAN,
        {
            "command": list(command.words),
            "overrides": list(command.overrides),
            "config_name": command.config_name,
            "conf_folders": [str(path.resolve()) for path in command.conf_folders],
            "sources": dict(sources),
            "working_folder": os.getcwd(),
            "signature": _signature(config),
            "axes": list(config.axes),
            "objectives": config.settings.objectives or [],
            "compare": config.settings.compare,
            "compare_by": config.settings.compare_by,
            "jobs": [*earlier, *map(_frozen, jobs)],
        },
    )


def write_job(job: Job, **values: Any) -> None:
    """Write what a job is into its folder: of a search with its trial, the point of that, and its configuration."""
    job.folder.mkdir(parents=True, exist_ok=True)
    before = find.read_leniently(job.folder, JOB)
    identity = {"id": job.config.identity, "overrides": list(job.config.overrides)}
    RunDir(job.folder).write_json(JOB, {**before, **identity, **values})


def propose_job(job: Job, trial: int, point: Mapping[str, Any], generation: int | None) -> None:
    """Write a job that a search wants to be run, frozen: later edits of YAML files can't change it."""
    write_job(job, trial=trial, point=dict(point), generation=generation, config=_frozen(job)["config"])


def _frozen(job: Job) -> dict[str, Any]:
    """A job as later edits of YAML files can't change it; references to environment variables stay references."""
    values = unresolved_environment(job.config.loaded.as_written, job.config.loaded.config.to_dict())
    return {"job": job.name, "id": job.config.identity, "overrides": list(job.config.overrides), "config": values}


def _signature(config: SweepConfig) -> str:
    """The same for two commands that differ in the values of their axes only."""
    search = [config.settings.name, config.settings.seed] if config.search else []
    text = json.dumps([sorted(config.axes), sorted(config.fixed), *search])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _identity(path: Path) -> str:
    return str(find.read_leniently(path.parent, JOB).get("id", path))
