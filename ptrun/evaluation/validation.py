"""From a configuration and raw outputs to predictions and the metrics of a validation.

Invariant: only what decides or is shown is computed while training, from sums where they do; the rest waits for the
final evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ptrun.config.run_config import RunConfig
from ptrun.engine.context import Measure
from ptrun.engine.evaluate import Outputs
from ptrun.metrics import compute
from ptrun.metrics.predictions import Predictions, to_predictions
from ptrun.metrics.running import NAMES, RunningMetrics
from ptrun.spec import DataSpec


def make_validation_metrics(config: RunConfig, spec: DataSpec, undefined: dict[str, str]) -> Callable[[], Measure]:
    """Return a function that begins the metrics of a validation: the task's first one, and the one that decides which epoch is best.

    undefined: takes the reasons of those that have no value.
    """
    monitored = config.train.monitor.removeprefix("val/")
    names = dict.fromkeys([compute.primary_metric(spec.task), *([monitored] if monitored != "loss" else [])])
    summed, gathered = [name for name in names if name in NAMES], [name for name in names if name not in NAMES]

    def begin() -> Measure:
        return _Measure(config, spec, summed, gathered, undefined)

    return begin


class _Measure:
    """The metrics of one validation; outputs are kept only when a metric needs all of them at once."""

    def __init__(
        self, config: RunConfig, spec: DataSpec, summed: list[str], gathered: list[str], undefined: dict[str, str]
    ) -> None:
        self._config, self._spec, self._gathered, self._undefined = config, spec, gathered, undefined
        self._sums = RunningMetrics(tuple(summed), spec)
        self._kept: list[tuple[Tensor, Tensor]] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in a batch."""
        self._sums.add(outputs, targets)
        if self._gathered:
            self._kept.append((outputs.float(), targets))

    def values(self) -> dict[str, float]:
        """Of all batches, by name."""
        values, reasons = self._sums.values()
        if self._gathered:
            outputs, targets = (torch.cat(each).cpu() for each in zip(*self._kept, strict=True))
            predicted = predictions_of(self._config, self._spec, Outputs(outputs, targets, 0.0))
            found, missing = compute.compute(self._gathered, predicted, metric_settings(self._config))
            values, reasons = values | found, reasons | missing
        self._undefined.update(reasons)
        return values


def metric_settings(config: RunConfig) -> dict[str, dict[str, Any]]:
    """The metrics of the final evaluation, in order, with their settings."""
    return {name: settings for item in config.metrics if isinstance(item, dict) for name, settings in item.items()}


def predictions_of(config: RunConfig, spec: DataSpec, outputs: Outputs) -> Predictions:
    """Raw outputs → classes with probabilities, or numbers in their original units."""
    one_vs_rest = config.loss.name == "binary_cross_entropy" and spec.num_outputs > 2
    return to_predictions(spec, outputs.outputs, outputs.targets, one_vs_rest)
