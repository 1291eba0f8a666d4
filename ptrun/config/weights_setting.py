"""Which file of weights a configuration names, beside the general setting `weights`."""

from __future__ import annotations

from pathlib import Path

from ptrun.config.run_config import RunConfig
from ptrun.files.weights_path import is_path


def file_of_model(config: RunConfig) -> Path | None:
    """The file that the model's own setting `model.weights` names; None for names of published weights."""
    weights = config.model.settings.get("weights")
    return Path(weights).expanduser() if isinstance(weights, str) and is_path(weights) else None


def model_takes_names(config: RunConfig) -> bool:
    """Whether the model has a setting for published weights, which are chosen by name."""
    return "weights" in config.model.settings
