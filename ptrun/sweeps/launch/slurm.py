"""Starts the workers of a sweep as an array job of Slurm, which restarts them after it has preempted them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ptrun.config.sweep import SweepSettings
from ptrun.errors import ConfigError, ResourceError
from ptrun.sweeps.launch.workers import split_words, work_words

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


@dataclass
class SlurmArray:
    """Workers that Slurm runs."""

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

    def problems(self) -> list[str]:
        """None: Slurm does not tell how a task has ended, unless it keeps accounts. slurm-*.log says it."""
        return []

    def stop(self) -> str:
        """Leave them to Slurm."""
        return f"The workers of Slurm's job {self.job} go on; `scancel {self.job}` stops them."


def check(settings: SweepSettings) -> None:
    """Raise ConfigError where Slurm is not, or its options can't be read."""
    split_words("sweep.slurm_options", settings.slurm_options or "")
    if shutil.which("sbatch") is None:
        raise ConfigError("sweep.launch=slurm: there is no command sbatch here. Start the sweep where Slurm is.")


def start(settings: SweepSettings, folder: Path) -> SlurmArray:
    """Submit an array of sweep.workers workers. Raises ResourceError when Slurm refuses it."""
    options = split_words("sweep.slurm_options", settings.slurm_options or "")
    lines = "\n".join(f"#SBATCH {option}" for option in options)
    work = shlex.join(work_words(folder))
    script = folder / "slurm.sh"
    script.write_text(
        _SCRIPT.format(last=settings.workers - 1, folder=folder.resolve(), options=lines, work=work),
        encoding="utf-8",
    )
    done = subprocess.run(
        ["sbatch", "--parsable", str(script)], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    if done.returncode != 0:
        raise ResourceError(f"sbatch refused {script}: {done.stderr.strip() or done.stdout.strip()}")
    job = done.stdout.strip().partition(";")[0]
    return SlurmArray(job, f"{settings.workers}, tasks of Slurm's job {job}; slurm-*.log has their output")
