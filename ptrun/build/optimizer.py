"""Builds the optimizer and the learning-rate schedule, and counts the epochs."""

from __future__ import annotations

import torch
from torch import nn

from ptrun.config.run_config import RunConfig
from ptrun.device.runtime import Runtime
from ptrun.optim import optimizers, schedules
from ptrun.optim.fused_step import use_fused


def build_optimizer(config: RunConfig, model: nn.Module, runtime: Runtime) -> torch.optim.Optimizer:
    """The optimizer, with torch's fused kernels where device.fused asks for them and they exist."""
    optimizer = optimizers.build_optimizer(config.optimizer.name, config.optimizer.settings, model)
    if runtime.fused:
        use_fused(optimizer, model)
    return optimizer


def build_schedule(
    config: RunConfig, optimizer: torch.optim.Optimizer, num_batches: int
) -> tuple[schedules.Schedule, int]:
    """The learning-rate schedule, set for the first step, and the number of epochs."""
    steps_per_epoch = -(-num_batches // config.train.grad_accumulation)
    epochs = count_epochs(config, steps_per_epoch)
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


def count_epochs(config: RunConfig, steps_per_epoch: int) -> int:
    """train.epochs, or as many as train.max_steps needs."""
    if config.train.max_steps is None:
        assert isinstance(config.train.epochs, int), "train.epochs=auto is resolved before"
        return config.train.epochs
    return -(-config.train.max_steps // steps_per_epoch)
