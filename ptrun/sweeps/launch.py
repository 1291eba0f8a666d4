"""Starts the workers of a sweep elsewhere: by a command of the user's, or as an array of Slurm's.

A worker is `ptrun sweep work FOLDER`: it takes jobs from the folder until none is left, and may be killed at any time.
Nothing travels but through the folder.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ptrun.config.sweep import SweepSettings
from ptrun.errors import ConfigError, ResourceError

_ASK_SECONDS = 10  # between two questions to Slurm's controller, which serves the whole cluster
# The shell has to outlive the worker, which saves the state of its jobs and ends with 75.
_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=ptrun-sweep --array=0-{last} --requeue --signal=B:USR1@60 --open-mode=append
#SBATCH --output={folder}/slurm-%A_%a.log
{options}
trap 'kill -USR1 $pid; wait $pid; scontrol requeue $SLURM_JOB_ID' USR1
{work} &
pid=$!
wait $pid
"""


class Workers(Protocol):
    """Workers that were started. text: who they are, and where."""

    text: str

    def are_alive(self) -> bool:
        """Whether one of them runs, or is still to run."""

    def stop(self) -> str:
        """Stop them, if they are this process's to stop. Returns a sentence on what has become of them."""


@dataclass
class Processes:
    """Workers that are child processes, or commands that start them elsewhere and wait for them."""

    processes: Sequence[subprocess.Popen[bytes]]
    text: str

    def are_alive(self) -> bool:
        """Whether a process runs."""
        return any(process.poll() is None for process in self.processes)

    def stop(self) -> str:
        """Ask all to stop, and wait for them."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        return "The workers were stopped."


@dataclass
class SlurmArray:
    """Workers that Slurm runs, and starts again when it has preempted them."""

    job: str
    text: str
    asked: float = 0.0
    alive: bool = True

    def are_alive(self) -> bool:
        """Whether Slurm knows a task of the array that has not ended."""
        if self.alive and time.monotonic() - self.asked > _ASK_SECONDS:
            self.asked = time.monotonic()
            done = subprocess.run(["squeue", "-h", "-j", self.job], capture_output=True, text=True, check=False)
            self.alive = bool(done.stdout.strip()) or (done.returncode != 0 and "Invalid job id" not in done.stderr)
        return self.alive

    def stop(self) -> str:
        """Leave them to Slurm."""
        return f"The workers of Slurm's job {self.job} go on; `scancel {self.job}` stops them."


def check(settings: SweepSettings) -> None:
    """Raise ConfigError when the workers can't be started."""
    if settings.launch == "command" and "%work" not in (settings.launch_command or ""):
        raise ConfigError(
            "sweep.launch_command: sweep.launch=command needs the command that starts a worker, with %work for "
            '`ptrun sweep work ...` and %n for the number of the worker, as "ssh node%n %work"; got '
            f"{settings.launch_command!r}."
        )
    if settings.launch == "slurm" and shutil.which("sbatch") is None:
        raise ConfigError("sweep.launch=slurm: there is no command sbatch here. Start the sweep where Slurm is.")


def launch(settings: SweepSettings, folder: Path) -> Workers:
    """Start sweep.workers workers. Raises ResourceError when that fails."""
    work = [sys.executable, "-m", "ptrun", "sweep", "work", str(folder.resolve()), "-q"]
    return _by_slurm(settings, folder, work) if settings.launch == "slurm" else _by_command(settings, folder, work)


def command_words(template: str, work: Sequence[str], number: int) -> list[str]:
    """The words of the command that starts a worker; %work within a word is one word for another shell."""
    words: list[str] = []
    for word in shlex.split(template):
        word = word.replace("%n", str(number))
        words += work if word == "%work" else [word.replace("%work", shlex.join(work))]
    return words


def _by_command(settings: SweepSettings, folder: Path, work: Sequence[str]) -> Workers:
    processes: list[subprocess.Popen[bytes]] = []
    for number in range(settings.workers):
        words = command_words(settings.launch_command or "", work, number)
        with (folder / f"worker-{number}.log").open("ab") as log:
            try:
                # In a session of its own: Ctrl-C reaches this process, which then stops the workers.
                started = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            except OSError as error:
                Processes(processes, "").stop()
                raise ResourceError(f"sweep.launch_command: {words[0]} can't be started ({error.strerror}).") from error
            processes.append(started)
    return Processes(processes, f"{settings.workers}, by {settings.launch_command}; worker-*.log has their output")


def _by_slurm(settings: SweepSettings, folder: Path, work: Sequence[str]) -> Workers:
    options = "\n".join(f"#SBATCH {option}" for option in shlex.split(settings.slurm_options or ""))
    script = folder / "slurm.sh"
    script.write_text(
        _SCRIPT.format(last=settings.workers - 1, folder=folder.resolve(), options=options, work=shlex.join(work)),
        encoding="utf-8",
    )
    done = subprocess.run(
        ["sbatch", "--parsable", str(script)], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    if done.returncode != 0:
        raise ResourceError(f"sbatch refused {script}: {done.stderr.strip() or done.stdout.strip()}")
    job = done.stdout.strip().partition(";")[0]
    return SlurmArray(job, f"{settings.workers}, tasks of Slurm's job {job}; slurm-*.log has their output")
