"""Describes a configuration in words, for the header of a run."""

from __future__ import annotations

from ptrun.config.run_config import RunConfig

_READ_BY_PREDICT = ("image_folder", "image_list", "table", "series", "sequences", "arrays")


def describe_training(config: RunConfig) -> str:
    """Loss, optimizer, learning rate, schedule, batch size and seed, in one line."""
    lr = config.optimizer.settings.get("lr")
    return (
        f"{config.loss.name}, {config.optimizer.name}{f' lr {lr:g}' if lr else ''}, "
        f"scheduler {config.scheduler.name}, batches of {config.train.batch_size}, seed {config.seed}"
    )


def own_data(config: RunConfig) -> str | None:
    """The file or folder that the user named as data, which `ptrun predict` reads too; None for other data."""
    setting = {"image_folder": "root"}.get(config.dataset.name, "path")
    if config.dataset.name not in _READ_BY_PREDICT:
        return None
    value = config.dataset.settings.get(setting)
    return None if value is None else str(value)
