"""How many jobs of a sweep run at the same time, and what each of them may use of the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ptrun.config.run_config import RunConfig
from ptrun.device.visible import VISIBLE, gpu_ids

JOB_BYTES = 2e9  # a process with torch takes 0.6 GB; more than that leaves room for data


@dataclass(frozen=True)
class Slot:
    """A place for one job at a time. environment: variables that its process gets."""

    cores: int
    environment: Mapping[str, str] = field(default_factory=dict)


def slots(
    jobs: int | str, configs: Sequence[RunConfig], cores: int, memory_bytes: float, job_bytes: float = JOB_BYTES
) -> list[Slot]:
    """One slot for each job that runs at the same time; `auto`: one per GPU, else one per core if memory allows.

    job_bytes: memory that a job may take.
    """
    gpus = gpu_ids(configs[0].device.name)
    if isinstance(jobs, str):
        jobs = len(gpus) or min(cores, int(memory_bytes / job_bytes))
    number = max(1, min(int(jobs), len(configs)))
    chosen = any(config.device.settings["index"] for config in configs)  # by the user, who numbers all GPUs
    shares = len(gpus) > 1 and number > 1 and not chosen
    return [
        Slot(max(1, cores // number), {VISIBLE: gpus[place % len(gpus)]} if shares else {}) for place in range(number)
    ]
