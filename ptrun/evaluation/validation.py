"""The metrics of one validation, computed while training.

Only metrics that decide the best epoch or are shown are computed here: from running sums where the metric allows that,
so that outputs need not be kept. The other metrics wait for the final evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ptrun.engine.context import ValidationMetrics
from ptrun.evaluation.forecast_interval import ForecastErrors
from ptrun.metrics import compute
from ptrun.metrics.predictions import to_predictions
from ptrun.metrics.running import NAMES, RunningMetrics
from ptrun.spec import DataSpec, Task


def make_validation_metrics(
    spec: DataSpec,
    *,
    monitored: str | None,
    settings: Mapping[str, Mapping[str, Any]],
    one_vs_rest: bool,
    undefined: dict[str, str],
) -> Callable[[], ValidationMetrics]:
    """Return a function that starts the metrics of a validation: the task's first one and the monitored one.

    monitored: the metric that decides the best epoch; None for the loss, which the loop measures itself.
    settings: of each metric, by name.
    one_vs_rest: whether outputs are one yes-or-no question for each class.
    undefined: receives the reasons of those that have no value.
    """
    names = dict.fromkeys([compute.primary_metric(spec.task), *([monitored] if monitored else [])])
    summed = tuple(name for name in names if name in NAMES)
    gathered = tuple(name for name in names if name not in NAMES)

    def start() -> ValidationMetrics:
        return _ValidationMetrics(spec, summed, gathered, settings, one_vs_rest, undefined)

    return start


def undefined_reason(
    name: str, settings: Mapping[str, Mapping[str, Any]], spec: DataSpec, targets: Tensor, *, one_vs_rest: bool
) -> str:
    """Why a metric can't have a value on a split with these targets, whatever the outputs; "" when it can.

    Looks at metrics of ptrun only, each on perfect and on random outputs: code of others may be slow or want real ones.
    """
    if name in NAMES or not compute.is_shipped(name):
        return ""
    for outputs in (_perfect_outputs(spec, targets), torch.randn(len(targets), spec.num_outputs)):
        predicted = to_predictions(spec, outputs, targets, one_vs_rest)
        reason = compute.compute([name], predicted, settings)[1].get(name, "")
        if not reason:
            return ""
    return reason


def _perfect_outputs(spec: DataSpec, targets: Tensor) -> Tensor:
    if spec.task is Task.CLASSIFICATION:
        return 10.0 * torch.nn.functional.one_hot(targets, spec.num_outputs).float()
    return targets.float()


class _ValidationMetrics:
    """Keeps outputs only when a metric needs all of them at once."""

    def __init__(
        self,
        spec: DataSpec,
        summed: Sequence[str],
        gathered: Sequence[str],
        settings: Mapping[str, Mapping[str, Any]],
        one_vs_rest: bool,
        undefined: dict[str, str],
    ) -> None:
        self._spec, self._gathered, self._settings = spec, gathered, settings
        self._one_vs_rest, self._undefined = one_vs_rest, undefined
        self._running = RunningMetrics(tuple(summed), spec)
        self._batches: list[tuple[Tensor, Tensor]] = []
        self._errors = ForecastErrors() if spec.horizon else None

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch."""
        self._running.add(outputs, targets)
        if self._errors is not None:
            self._errors.add(outputs, targets)
        if self._gathered:
            self._batches.append((outputs.float(), targets))

    def interval(self) -> Mapping[str, Any] | None:
        """How far forecasts were wrong; None for other tasks."""
        return None if self._errors is None else self._errors.interval

    def values(self) -> dict[str, float]:
        """The metrics of all batches, by name."""
        values, undefined = self._running.values()
        if self._gathered:
            outputs, targets = (torch.cat(tensors).cpu() for tensors in zip(*self._batches, strict=True))
            predicted = to_predictions(self._spec, outputs, targets, self._one_vs_rest)
            gathered, missing = compute.compute(self._gathered, predicted, self._settings)
            values, undefined = values | gathered, undefined | missing
        self._undefined.update(undefined)
        return values
