"""Builds the parts of an evaluation from the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ptrun.build.data import Prepared
from ptrun.build.model import build_model
from ptrun.config.run_config import RunConfig
from ptrun.device import auto as device_auto
from ptrun.device.runtime import Runtime
from ptrun.engine.context import ValidationMetrics
from ptrun.engine.evaluate import Outputs
from ptrun.errors import ConfigError
from ptrun.evaluation.validation import make_validation_metrics, undefined_reason
from ptrun.metrics.predictions import Predictions, to_predictions
from ptrun.spec import DataSpec


def build_trained_model(config: RunConfig, spec: DataSpec, runtime: Runtime) -> tuple[nn.Module, Runtime]:
    """The model for the weights of a checkpoint, on its device, and the runtime with its choices for that model."""
    model = build_model(config, spec, restoring=True)
    runtime = device_auto.resolve_auto(runtime, model, spec.input_shape, config.train.batch_size)
    return runtime.place(model), runtime


def build_validation_metrics(
    config: RunConfig, spec: DataSpec, undefined: dict[str, str]
) -> Callable[[], ValidationMetrics]:
    """A function that starts the metrics of a validation; `undefined` receives the reasons of those without a value."""
    monitored = config.train.monitor.removeprefix("val/")
    return make_validation_metrics(
        spec,
        monitored=None if monitored == "loss" else monitored,
        settings=metric_settings(config),
        one_vs_rest=predicts_one_vs_rest(config, spec),
        undefined=undefined,
    )


def refuse_undefined_monitor(config: RunConfig, prepared: Prepared) -> None:
    """Raise ConfigError when the monitored metric can have no value on the validation split: no epoch could be best."""
    name, spec = config.train.monitor.removeprefix("val/"), prepared.spec
    if name == "loss":
        return
    reason = undefined_reason(
        name, metric_settings(config), spec, prepared.data.val.targets, one_vs_rest=predicts_one_vs_rest(config, spec)
    )
    if reason:
        raise ConfigError(
            f"train.monitor: {config.train.monitor} has no value on the validation split ({reason}), so no epoch could "
            "be the best. Choose another one, such as train.monitor=val/loss."
        )


def metric_settings(config: RunConfig) -> dict[str, dict[str, Any]]:
    """The metrics of the final evaluation, in order, with their settings."""
    return {name: settings for item in config.metrics if isinstance(item, dict) for name, settings in item.items()}


def make_predictions(config: RunConfig, spec: DataSpec, outputs: Outputs) -> Predictions:
    """Raw outputs → classes with probabilities, or numbers in their original units."""
    return to_predictions(spec, outputs.outputs, outputs.targets, predicts_one_vs_rest(config, spec))


def predicts_one_vs_rest(config: RunConfig, spec: DataSpec) -> bool:
    """Whether the outputs are one yes-or-no question for each class, rather than shares that add up to 1."""
    return config.loss.name == "binary_cross_entropy" and spec.num_outputs > 2
