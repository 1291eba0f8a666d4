"""A trained model restored from a checkpoint: its configuration, its weights, and how inputs are prepared for it.

Needs nothing but the file. The configuration in a checkpoint is only data: it is checked like any other, and the
plugins it names are not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ptrun.build.data import build_eval_pipeline
from ptrun.build.evaluation import build_trained_model
from ptrun.build.model import build_views
from ptrun.build.run import build_runtime
from ptrun.checkpoint import state, store
from ptrun.config.auto import resolve_auto
from ptrun.config.run_config import RunConfig
from ptrun.config.stored import CHANGEABLE_WHEN_EVALUATING, changed_config
from ptrun.data.features.decimal_sign import written_with
from ptrun.device.runtime import Runtime
from ptrun.errors import CheckpointError
from ptrun.plugins import REGISTRIES, attribute_plugin_errors
from ptrun.runs.find import find_checkpoint
from ptrun.spec import DataSpec
from ptrun.transforms.pipeline import Pipeline


@dataclass(frozen=True)
class Changes:
    """What a command changes in the configuration of a checkpoint.

    settings: dotted key → value. plugins: files that the user names. folders: of YAML files, the user's first.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    plugins: Sequence[str] = ()
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class TrainedModel:
    """A model with the weights of a checkpoint, on its device, in evaluation mode.

    content: what the checkpoint file holds.
    model: gives the raw outputs [batch, num_outputs] of prepared inputs, with the test-time views of the configuration.
    network: the same model without views.
    pipeline: prepares images; None for other inputs.
    notes: how the checkpoint was chosen.
    """

    path: Path
    content: Mapping[str, Any]
    config: RunConfig
    spec: DataSpec
    model: nn.Module
    network: nn.Module
    runtime: Runtime
    pipeline: Pipeline | None
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The checkpoint for a header: its file, and how far the training was."""
        progress = self.content["progress"]
        return f"{self.path} (epoch {progress['epoch']}, step {progress['step']})"

    @property
    def fitted(self) -> Mapping[str, Any]:
        """What the data set learned from the training samples: means, categories, class names."""
        fitted: Mapping[str, Any] = self.content["fitted"]["dataset"]
        return fitted

    def outputs(self, inputs: Tensor) -> Tensor:
        """Raw outputs [batch, num_outputs] float32 on the CPU, equal to those of an evaluation of the same batch."""
        return self.apply(self.model, inputs)

    def apply(self, function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """What a function of prepared inputs gives on the model's device, in its number format; float32 on the CPU."""
        with torch.inference_mode(), self.runtime.autocast():
            results = function(self.runtime.arrange(inputs.to(self.runtime.device)))
        return results.float().cpu()


def load_trained_model(checkpoint: str, changes: Changes | None = None) -> TrainedModel:
    """Restore the model of a checkpoint file, of a run folder, or of the best run of a sweep.

    Raises CheckpointError for a file that is absent, damaged or does not fit, ConfigError for changes that are refused.
    """
    changes = changes or Changes()
    path, notes = find_checkpoint(checkpoint)
    content = as_files_are_written(store.load(path), changes)
    config, _ = resolve_auto(restore_config(content, path, changes), changes.folders)
    spec = DataSpec.from_dict(content["spec"])
    with attribute_plugin_errors(config.model.name):
        network, runtime = restore_model(config, spec, build_runtime(config), content, path)
    pipeline = build_eval_pipeline(config, spec, content["fitted"])
    if pipeline is not None:
        pipeline.channels_first = not runtime.channels_last
    return TrainedModel(
        path=path,
        content=content,
        config=config,
        spec=spec,
        model=build_views(config, spec)(network).eval(),
        network=network,
        runtime=runtime,
        pipeline=pipeline,
        notes=notes,
    )


def as_files_are_written(content: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """A checkpoint, for files whose numbers have the decimal sign that the user names. Raises ConfigError."""
    setting, fitted = changes.settings.get("dataset.decimal"), content["fitted"]
    if setting is None or "columns" not in (fitted.get("dataset") or {}):
        return dict(content)
    return {**content, "fitted": {**fitted, "dataset": written_with(fitted["dataset"], str(setting))}}


def restore_model(
    config: RunConfig, spec: DataSpec, runtime: Runtime, content: Mapping[str, Any], path: Path
) -> tuple[nn.Module, Runtime]:
    """The model in evaluation mode with the weights that are evaluated, and the runtime with its choices for it."""
    model, runtime = build_trained_model(config, spec, runtime)
    state.load_weights(model, state.evaluated_weights(content), str(path))
    return model.eval(), runtime


def restore_config(content: Mapping[str, Any], path: Path, changes: Changes) -> RunConfig:
    """The stored configuration with the user's changes, checked. Raises ConfigError or CheckpointError."""
    stored = content["config"]
    if not isinstance(stored, dict):
        raise CheckpointError(f"{path}: its configuration is damaged.")
    values = {**stored, "plugins": list(changes.plugins)}  # those named in the checkpoint are never imported
    return changed_config(values, changes.settings, CHANGEABLE_WHEN_EVALUATING, REGISTRIES, changes.folders)
