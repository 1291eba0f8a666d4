"""Builds the learning-rate schedule and the number of epochs from the configuration."""

from __future__ import annotations

from ptrun.config.run_config import RunConfig
from ptrun.optim import schedules
import torch


def build_schedule(
    config: RunConfig, optimizer: torch.optim.Optimizer, num_batches: int
) -> tuple[schedules.Schedule, int]:
    """The learning-rate schedule, set for the first step, and the number of epochs."""
    steps_per_epoch = -(-num_batches // config.train.grad_accumulation)
    epochs = _epochs(config, steps_per_epoch)
    schedule = schedules.build_schedule(
        config.scheduler.name,
        config.scheduler.settings,
        optimizer,
        steps_per_epoch=steps_per_epoch,
        total_epochs=epochs if config.train.max_steps is None else config.train.max_steps / steps_per_epoch,
        better="higher" if config.train.monitor_mode == "max" else "lower",
    )
    schedule.step(0)
    return schedule, epochs


def _epochs(config: RunConfig, steps_per_epoch: int) -> int:
    if config.train.max_steps is None:
        return config.train.epochs
    return -(-config.train.max_steps // steps_per_epoch)
