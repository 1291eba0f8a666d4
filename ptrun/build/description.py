"""Describes a configuration in words, for the header of a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptrun.config.run_config import RunConfig

_LOCATIONS = ("path", "test_path", "root", "target")  # settings of a dataset that say where it is

_READ_BY_PREDICT = ("image_folder", "image_list", "table", "series", "sequences", "arrays")


def describe_training(config: RunConfig) -> str:
    """Loss, optimizer, learning rate, schedule, batch size and seed, in one line."""
    lr = config.optimizer.settings.get("lr")
    return (
        f"{config.loss.name}, {config.optimizer.name}{f' lr {lr:g}' if lr else ''}, "
        f"scheduler {config.scheduler.name}, batches of {config.train.batch_size}, seed {config.seed}"
    )


def next_command(dataset: Mapping[str, Any], checkpoint: Path) -> tuple[str, str]:
    """A purpose and the command for it, which works as it stands: predictions for the user's own data.

    dataset: the group of a configuration, with its name and settings. checkpoint: a file, or a run folder.
    """
    command = predict_command(dataset, checkpoint)
    if command is None:
        return "use it", f"ptrun show checkpoint={shlex.quote(str(checkpoint))}"
    return "predict", command


def predict_command(dataset: Mapping[str, Any], checkpoint: Path) -> str | None:
    """The command that predicts for the user's own data, as it stands; None for data that come along."""
    data = _own_data(dataset)
    if data is None:
        return None
    return f"ptrun predict checkpoint={shlex.quote(str(checkpoint))} input={shlex.quote(data)}"


def _own_data(dataset: Mapping[str, Any]) -> str | None:
    """The file or folder that the user named as data, which `ptrun predict` reads too; None for other data sets."""
    if dataset.get("name") not in _READ_BY_PREDICT:
        return None
    value = dataset.get({"image_folder": "root"}.get(dataset["name"], "path"))
    return None if value is None else str(value)


def stored_facts(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the configuration in a checkpoint says about model, data and training, also for a plugin's components."""
    train, optimizer, dataset = config["train"], config["optimizer"], config["dataset"]
    return {
        "model": {
            "name": config["model"]["name"],
            "settings": {key: value for key, value in config["model"].items() if key != "name"},
        },
        "data": {
            "dataset": dataset["name"],
            "location": {key: dataset[key] for key in _LOCATIONS if dataset.get(key) is not None},
        },
        "training": {
            "loss": config["loss"]["name"],
            "optimizer": optimizer["name"],
            "lr": optimizer.get("lr"),
            "epochs": train["epochs"],
            "batch_size": train["batch_size"],
            "seed": config["seed"],
            "monitor": train["monitor"],
            "weights": config.get("weights"),
        },
    }


def longer_training(config: Mapping[str, Any]) -> str:
    """The setting by which a finished run with this stored configuration is trained on, for as long as it was."""
    train = config["train"]
    if train.get("max_steps") is not None:
        return f"train.max_steps={2 * train['max_steps']}"
    return f"train.epochs={2 * train['epochs']}"
