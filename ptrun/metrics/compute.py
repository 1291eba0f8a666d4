"""What is reported of predictions: numbers where they are defined, reasons where they are not.

Invariant: metrics are computed in float64, in the original units of the targets (but for those called
`scaled_`), over all samples at once; nothing is averaged over batches, and no warning leaks.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptrun.errors import ConfigError
from ptrun.metrics.predictions import Predictions
from ptrun.registry import metrics
from ptrun.spec import Task

Array = NDArray[Any]
Better = Literal["higher", "lower"]

_FACTS: dict[str, tuple[Task, Better]] = {
    "accuracy": (Task.CLASSIFICATION, "higher"),
    "top_k": (Task.CLASSIFICATION, "higher"),
    "balanced_accuracy": (Task.CLASSIFICATION, "higher"),
    "precision_weighted": (Task.CLASSIFICATION, "higher"),
    "recall_weighted": (Task.CLASSIFICATION, "higher"),
    "f1_weighted": (Task.CLASSIFICATION, "higher"),
    "precision_macro": (Task.CLASSIFICATION, "higher"),
    "recall_macro": (Task.CLASSIFICATION, "higher"),
    "f1_macro": (Task.CLASSIFICATION, "higher"),
    "roc_auc": (Task.CLASSIFICATION, "higher"),
    "log_loss": (Task.CLASSIFICATION, "lower"),
    "mae": (Task.REGRESSION, "lower"),
    "mse": (Task.REGRESSION, "lower"),
    "rmse": (Task.REGRESSION, "lower"),
    "scaled_mae": (Task.REGRESSION, "lower"),
    "scaled_mse": (Task.REGRESSION, "lower"),
    "r2": (Task.REGRESSION, "higher"),
    "mape": (Task.REGRESSION, "lower"),
}
_DEFAULTS = {
    Task.CLASSIFICATION: [
        "accuracy",
        "balanced_accuracy",
        "precision_macro",
        "recall_macro",
        "f1_macro",
        "roc_auc",
        "log_loss",
    ],
    Task.REGRESSION: ["mae", "rmse", "r2", "mape"],
}


class Undefined(Exception):
    """A metric has no value for these samples; the text is the reason."""


def default_metrics(task: Task) -> list[str]:
    """What `metrics=auto` stands for."""
    return list(_DEFAULTS[task])


def primary_metric(task: Task) -> str:
    """The metric named first in results."""
    return "accuracy" if task is Task.CLASSIFICATION else "rmse"


def better(name: str) -> Better:
    """Which direction of a metric, or of the loss, is better.

    A metric of a plugin says so by an attribute: `my_metric.better = "higher"`. Raises ConfigError when it does not.
    """
    if name == "loss":
        return "lower"
    known = _FACTS[name][1] if name in _FACTS else getattr(metrics.get(name), "better", None)
    if known not in ("higher", "lower"):
        raise ConfigError(
            f'metrics: \'{name}\' does not say which direction is better. Add `{name}.better = "higher"` (or "lower") below the function.'
        )
    return known


def compute(
    names: Iterable[str], p: Predictions, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the values of the metrics, and the reasons of those that have none.

    settings: keywords of metrics that have some, by name. Raises ConfigError for an unknown metric or setting.
    """
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name in names:
        try:
            _require_sound(name, p)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = float(metrics.build(name, (settings or {}).get(name, {}), p))
            if not np.isfinite(value):
                raise Undefined(f"the result is {value}")
            values[name] = value
        except Undefined as reason:
            reasons[name] = str(reason)
    return values, reasons


def _require_sound(name: str, p: Predictions) -> None:
    task = _FACTS[name][0] if name in _FACTS else p.spec.task
    if task is not p.spec.task:
        raise Undefined(f"it is for {task}, and the data ask for {p.spec.task}")
    if not len(p.targets):
        raise Undefined("there are no samples")
    numbers = p.values if p.probabilities is None else p.probabilities
    broken = len(numbers) - int(np.isfinite(numbers).reshape(len(numbers), -1).all(1).sum())
    if broken:
        raise Undefined(f"{broken} of {len(numbers)} outputs are not finite numbers")
