"""The file of weights that a run starts from: found before torch is imported."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ptrun.config.compose import Composer
from ptrun.config.load import load_config
from ptrun.config.run_config import RunConfig
from ptrun.config.weights_setting import file_of_model, model_takes_names
from ptrun.errors import CheckpointError, ConfigError
from ptrun.files.weights_path import is_path, require_weights_file
from ptrun.runs.find import find_checkpoint


def weights_record(config: RunConfig) -> dict[str, dict[str, str]]:
    """For the receipt: the file that a run started from and its digest; empty for a run without one."""
    path = file_of_model(config) if config.weights is None else Path(config.weights).expanduser()
    if path is None:
        return {}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return {"weights": {"file": str(path.resolve()), "digest": digest}}


def config_of_weights(words: Sequence[str], composer: Composer) -> RunConfig:
    """The configuration of a training run with the words of `ptrun eval weights=FILE`. Raises PtrunError."""
    of_training = [word for word in words if not word.startswith("split=")]
    config = load_config(composer, of_training).config
    if config.model.name == "auto":
        raise ConfigError(
            "weights: a file of weights does not say of which network they are. Name it: model=NAME, such as "
            "model=torchvision model.arch=resnet50 (`ptrun list models`)."
        )
    return with_weights_file(config)


def with_weights_file(config: RunConfig) -> RunConfig:
    """The configuration with the checkpoint file of a run folder in `weights`, where that names such a folder.

    Raises CheckpointError when a file that `weights` or `model.weights` names is not there, or is no weights.
    """
    if config.weights is None:
        model_file = file_of_model(config)
        if model_file is not None:
            require_weights_file(model_file, "model.weights")
        return config
    path = Path(config.weights).expanduser()
    if path.is_dir():
        path = find_checkpoint(config.weights)[0].resolve()  # outputs/latest will soon be another run
        return replace(config, weights=str(path))
    if not path.exists() and not is_path(config.weights) and model_takes_names(config):
        raise CheckpointError(
            f"{path}: there is no such file. weights=FILE takes a file; published weights are chosen by name with "
            f"model.weights={config.weights}."
        )
    require_weights_file(path, "weights")
    return config
