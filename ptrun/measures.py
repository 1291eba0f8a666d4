"""From a configuration and raw outputs to predictions and the metrics of a validation.

Invariant: only what decides or is shown is computed while training; the rest waits for the final evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ptrun import metrics
from ptrun.experiment import Outputs
from ptrun.predictions import Predictions
from ptrun.predictions import predictions as predict
from ptrun.settings import RunConfig
from ptrun.spec import DataSpec


def measurer(config: RunConfig, spec: DataSpec, undefined: dict[str, str]) -> Callable[[Outputs], dict[str, float]]:
    """The metrics of each validation: the task's first one, and the one that decides which epoch is best.

    undefined: takes the reasons of those that have no value.
    """
    monitored = config.train.monitor.removeprefix("val/")
    names = list(dict.fromkeys([metrics.primary_metric(spec.task), *([monitored] if monitored != "loss" else [])]))

    def measure(outputs: Outputs) -> dict[str, float]:
        values, reasons = metrics.compute(names, predictions(config, spec, outputs), metric_settings(config))
        undefined.update(reasons)
        return values

    return measure


def metric_settings(config: RunConfig) -> dict[str, dict[str, Any]]:
    """The metrics of the final evaluation, in order, with their settings."""
    return {name: settings for item in config.metrics if isinstance(item, dict) for name, settings in item.items()}


def predictions(config: RunConfig, spec: DataSpec, outputs: Outputs) -> Predictions:
    """Raw outputs → classes with probabilities, or numbers in their original units."""
    one_vs_rest = config.loss.name == "binary_cross_entropy" and spec.num_outputs > 2
    return predict(spec, outputs.outputs, outputs.targets, one_vs_rest)
