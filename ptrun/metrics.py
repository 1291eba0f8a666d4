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

from ptrun.errors import ConfigError, listing
from ptrun.predictions import Predictions
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


def _present(p: Predictions) -> Array:
    """Whether each class occurs among the targets, bool [classes]."""
    return np.bincount(p.targets, minlength=p.spec.num_outputs) > 0


def _require_all_classes(p: Predictions) -> None:
    present = _present(p)
    if not present.all():
        absent = [name for name, there in zip(p.spec.class_names, present, strict=True) if not there]
        raise Undefined(
            f"no sample of {listing(absent, 8)}, so only {int(present.sum())} of {len(present)} classes could be averaged"
        )


@metrics.register
def accuracy(p: Predictions) -> float:
    """Share of samples whose class is predicted."""
    return float((p.values == p.targets).mean())


@metrics.register
def top_k(p: Predictions, *, k: int = 5) -> float:
    """Share of samples whose class is among the `k` most probable; of equal ones the first counts first."""
    if k > p.spec.num_outputs:
        raise Undefined(f"k is {k}, but there are only {p.spec.num_outputs} classes")
    scores = np.asarray(p.probabilities)
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((ranked == p.targets[:, None]).any(1).mean())


@metrics.register
def balanced_accuracy(p: Predictions) -> float:
    """Mean over classes of the share that is recognised. Undefined when a class is absent."""
    from sklearn.metrics import balanced_accuracy_score

    _require_all_classes(p)
    return float(balanced_accuracy_score(p.targets, p.values))


def _averaged(p: Predictions, which: int, average: Literal["weighted", "macro"]) -> float:
    """Precision (0), recall (1) or F1 (2); the precision of a class that is never predicted counts as 0."""
    from sklearn.metrics import precision_recall_fscore_support

    if average == "macro":
        _require_all_classes(p)
    labels = range(p.spec.num_outputs)
    scores = precision_recall_fscore_support(p.targets, p.values, labels=labels, average=average, zero_division=0)
    return float(scores[which])


@metrics.register
def precision_weighted(p: Predictions) -> float:
    """Precision of each class, weighted by its samples."""
    return _averaged(p, 0, "weighted")


@metrics.register
def recall_weighted(p: Predictions) -> float:
    """Recall of each class, weighted by its samples (equals accuracy)."""
    return _averaged(p, 1, "weighted")


@metrics.register
def f1_weighted(p: Predictions) -> float:
    """F1 of each class, weighted by its samples."""
    return _averaged(p, 2, "weighted")


@metrics.register
def precision_macro(p: Predictions) -> float:
    """Mean precision over classes. Undefined when a class is absent."""
    return _averaged(p, 0, "macro")


@metrics.register
def recall_macro(p: Predictions) -> float:
    """Mean recall over classes. Undefined when a class is absent."""
    return _averaged(p, 1, "macro")


@metrics.register
def f1_macro(p: Predictions) -> float:
    """Mean F1 over classes. Undefined when a class is absent."""
    return _averaged(p, 2, "macro")


@metrics.register
def roc_auc(p: Predictions) -> float:
    """Area under the ROC curve; for more than two classes the mean of each against the rest."""
    from sklearn.metrics import roc_auc_score

    if int(_present(p).sum()) < 2:
        raise Undefined(f"all samples are of one class, {p.spec.class_names[int(p.targets[0])]}")
    _require_all_classes(p)
    scores = np.asarray(p.probabilities)
    return float(
        roc_auc_score(p.targets, scores[:, 1])
        if scores.shape[1] == 2
        else np.mean([roc_auc_score(p.targets == c, scores[:, c]) for c in range(scores.shape[1])])
    )


@metrics.register
def log_loss(p: Predictions) -> float:
    """Mean negative log of the probability of the true class, in nats."""
    from sklearn.metrics import log_loss as mean_log_loss

    return float(mean_log_loss(p.targets, np.asarray(p.probabilities), labels=range(p.spec.num_outputs)))


@metrics.register
def mae(p: Predictions) -> float:
    """Mean absolute error, in the unit of the targets."""
    return float(np.abs(p.values - p.targets).mean())


@metrics.register
def mse(p: Predictions) -> float:
    """Mean squared error, in the squared unit of the targets."""
    return float(np.square(p.values - p.targets).mean())


@metrics.register
def rmse(p: Predictions) -> float:
    """Root of the mean squared error of each target, averaged over targets as scikit-learn does."""
    return float(np.sqrt(np.square(p.values - p.targets).mean(0)).mean())


def _scaled_errors(p: Predictions) -> Array:
    """Errors in units of the training targets' standard deviation, where the data set standardises targets; else as they are."""
    return np.asarray((p.values - p.targets) / np.asarray(p.spec.target_std or 1.0))


@metrics.register
def scaled_mae(p: Predictions) -> float:
    """Mean absolute error over all samples, steps and columns, in standard deviations of the training targets."""
    return float(np.abs(_scaled_errors(p)).mean())


@metrics.register
def scaled_mse(p: Predictions) -> float:
    """Mean squared error over all samples, steps and columns, in variances of the training targets."""
    return float(np.square(_scaled_errors(p)).mean())


@metrics.register
def r2(p: Predictions) -> float:
    """1 - squared error / squared deviation from the mean, averaged over targets."""
    deviation = np.square(p.targets - p.targets.mean(0)).sum(0)
    rounding = len(p.targets) * np.square(1e-6 * np.abs(p.targets).max(0))  # targets went through float32
    if (deviation <= rounding).any():
        names = p.spec.target_names or tuple(f"target {i}" for i in range(len(deviation)))
        constant = [name for name, still in zip(names, deviation <= rounding, strict=True) if still]
        raise Undefined(f"{listing(constant, 8)} does not vary over the {len(p.targets)} samples")
    return float((1 - np.square(p.values - p.targets).sum(0) / deviation).mean())


@metrics.register
def mape(p: Predictions) -> float:
    """Mean of |error| / |target|, as a share (0.1 is 10 %). Undefined when a target is all but zero."""
    size = np.abs(p.targets)
    tiny = int((size <= 1e-6 * size.mean()).sum())
    if tiny:
        raise Undefined(f"{tiny} of {size.size} targets are zero or nearly so, and it divides by them")
    return float((np.abs(p.values - p.targets) / size).mean())
