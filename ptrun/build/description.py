"""Describes a configuration in words, for the header of a run."""

from __future__ import annotations

from ptrun.config.run_config import RunConfig


def describe_training(config: RunConfig) -> str:
    """Loss, optimizer, learning rate, schedule, batch size and seed, in one line."""
    lr = config.optimizer.settings.get("lr")
    return (
        f"{config.loss.name}, {config.optimizer.name}{f' lr {lr:g}' if lr else ''}, "
        f"scheduler {config.scheduler.name}, batches of {config.train.batch_size}, seed {config.seed}"
    )
