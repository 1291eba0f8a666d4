"""Computes metrics over all samples of a split at once: a value where it is defined, else the reason why it is not.

Everything is float64 in the original units of the targets, except metrics called `scaled_`. Nothing is averaged over
batches, because the mean of a metric over batches is another number for most metrics.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from ptrun.errors import ConfigError
from ptrun.metrics.predictions import Predictions
from ptrun.registry import metrics
from ptrun.spec import Task

Better = Literal["higher", "lower"]

# The facts `# task:` and `# better:` of conf/metric/*.yaml, which this floor can't read; a test keeps them equal.
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


# The metrics that scikit-learn computes, which takes a second to import.
_OF_SCIKIT_LEARN = {
    "balanced_accuracy",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "roc_auc",
    "log_loss",
}


class Undefined(Exception):
    """Raised by a metric that has no value for these samples. Its text is the reason, as users read it."""


def default_metrics(task: Task) -> list[str]:
    """What `metrics=auto` stands for."""
    return list(_DEFAULTS[task])


def primary_metric(task: Task) -> str:
    """The metric that results show first."""
    return "accuracy" if task is Task.CLASSIFICATION else "rmse"


def preload(names: Iterable[str]) -> None:
    """Import what the metrics of these names need, which their first computation would import."""
    if not _OF_SCIKIT_LEARN.isdisjoint(names):
        import sklearn.metrics  # noqa: F401


def is_shipped(name: str) -> bool:
    """Whether a metric is one of ptrun, not of a plugin."""
    return name in _FACTS


def better(name: str) -> Better:
    """Whether a higher or a lower value of a metric, or of the loss, is better.

    A plugin's metric says so by an attribute: `my_metric.better = "higher"`. Raises ConfigError when it has none.
    """
    if name == "loss":
        return "lower"
    direction = _FACTS[name][1] if name in _FACTS else getattr(metrics.get(name), "better", None)
    if direction not in ("higher", "lower"):
        raise ConfigError(
            f"metrics: '{name}' does not say which direction is better. "
            f'Add `{name}.better = "higher"` (or "lower") below the function.'
        )
    return direction


def compute(
    names: Iterable[str], predictions: Predictions, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the values of the metrics by name, and the reasons of those that have none.

    settings: name of a metric → its keywords. Raises ConfigError for an unknown metric or setting.
    """
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name in names:
        try:
            _require_computable(name, predictions)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # scikit-learn warns of what is answered here by a reason
                value = _number(name, metrics.build(name, (settings or {}).get(name, {}), predictions))
            if not np.isfinite(value):
                raise Undefined(f"the result is {value}")
            values[name] = value
        except Undefined as reason:
            reasons[name] = str(reason)
    return values, reasons


def _number(name: str, result: Any) -> float:
    """What a metric returned, which may be a tensor or array of one number. Raises ConfigError for anything else."""
    try:
        return float(result)
    except (TypeError, ValueError, RuntimeError):
        raise metrics.wrong_result(name, result) from None


def _require_computable(name: str, predictions: Predictions) -> None:
    """Raise Undefined for another task, for no samples, and for outputs that are not finite."""
    spec = predictions.spec
    task = _FACTS[name][0] if name in _FACTS else spec.task
    if task is not spec.task:
        raise Undefined(f"it is for {task}, and the data ask for {spec.task}")
    if not len(predictions.targets):
        raise Undefined("there are no samples")
    numbers = predictions.values if predictions.probabilities is None else predictions.probabilities
    num_broken = len(numbers) - int(np.isfinite(numbers).reshape(len(numbers), -1).all(1).sum())
    if num_broken:
        raise Undefined(f"{num_broken} of {len(numbers)} outputs are not finite numbers")
