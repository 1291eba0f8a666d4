"""Metrics for classification."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ptrun.errors import join_words
from ptrun.metrics.compute import Undefined
from ptrun.metrics.predictions import Array, Predictions
from ptrun.registry import metrics


def _present_classes(predictions: Predictions) -> Array:
    """Whether each class occurs among the targets, bool [classes]."""
    return np.bincount(predictions.targets, minlength=predictions.spec.num_outputs) > 0


def _require_all_classes(predictions: Predictions) -> None:
    """Raise Undefined when a class has no sample: a mean over the others would not be comparable."""
    present = _present_classes(predictions)
    if not present.all():
        absent = [
            name for name, is_present in zip(predictions.spec.class_names, present, strict=True) if not is_present
        ]
        raise Undefined(
            f"no sample of {join_words(absent, 8)}, "
            f"so only {int(present.sum())} of {len(present)} classes could be averaged"
        )


@metrics.register
def accuracy(predictions: Predictions) -> float:
    """Share of samples whose class is predicted."""
    return float((predictions.values == predictions.targets).mean())


@metrics.register
def top_k(predictions: Predictions, *, k: int = 5) -> float:
    """Share of samples whose class is among the `k` most probable; equal probabilities rank by class number."""
    if k > predictions.spec.num_outputs:
        raise Undefined(f"k is {k}, but there are only {predictions.spec.num_outputs} classes")
    scores = np.asarray(predictions.probabilities)
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((ranked == predictions.targets[:, None]).any(1).mean())


@metrics.register
def balanced_accuracy(predictions: Predictions) -> float:
    """Mean over classes of the share that is recognized. Undefined when a class is absent."""
    from sklearn.metrics import balanced_accuracy_score

    _require_all_classes(predictions)
    return float(balanced_accuracy_score(predictions.targets, predictions.values))


def _averaged(predictions: Predictions, position: int, average: Literal["weighted", "macro"]) -> float:
    """Precision (position 0), recall (1) or F1 (2) over classes; the precision of a class never predicted is 0."""
    from sklearn.metrics import precision_recall_fscore_support

    if average == "macro":
        _require_all_classes(predictions)
    labels = range(predictions.spec.num_outputs)
    scores = precision_recall_fscore_support(
        predictions.targets, predictions.values, labels=labels, average=average, zero_division=0
    )
    return float(scores[position])


@metrics.register
def precision_weighted(predictions: Predictions) -> float:
    """Precision of each class, weighted by its samples."""
    return _averaged(predictions, 0, "weighted")


@metrics.register
def recall_weighted(predictions: Predictions) -> float:
    """Recall of each class, weighted by its samples (equals accuracy)."""
    return _averaged(predictions, 1, "weighted")


@metrics.register
def f1_weighted(predictions: Predictions) -> float:
    """F1 of each class, weighted by its samples."""
    return _averaged(predictions, 2, "weighted")


@metrics.register
def precision_macro(predictions: Predictions) -> float:
    """Mean precision over classes. Undefined when a class is absent."""
    return _averaged(predictions, 0, "macro")


@metrics.register
def recall_macro(predictions: Predictions) -> float:
    """Mean recall over classes. Undefined when a class is absent."""
    return _averaged(predictions, 1, "macro")


@metrics.register
def f1_macro(predictions: Predictions) -> float:
    """Mean F1 over classes. Undefined when a class is absent."""
    return _averaged(predictions, 2, "macro")


@metrics.register
def roc_auc(predictions: Predictions) -> float:
    """Area under the ROC curve; for more than two classes the mean of each against the rest."""
    from sklearn.metrics import roc_auc_score

    if int(_present_classes(predictions).sum()) < 2:
        raise Undefined(f"all samples are of one class, {predictions.spec.class_names[int(predictions.targets[0])]}")
    _require_all_classes(predictions)
    scores = np.asarray(predictions.probabilities)
    return float(
        roc_auc_score(predictions.targets, scores[:, 1])
        if scores.shape[1] == 2
        else np.mean([roc_auc_score(predictions.targets == c, scores[:, c]) for c in range(scores.shape[1])])
    )


@metrics.register
def log_loss(predictions: Predictions) -> float:
    """Mean negative log of the probability of the true class, in nats."""
    from sklearn.metrics import log_loss as mean_log_loss

    return float(
        mean_log_loss(
            predictions.targets, np.asarray(predictions.probabilities), labels=range(predictions.spec.num_outputs)
        )
    )
