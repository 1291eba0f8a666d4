"""Metrics for classes."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ptrun.errors import join_words
from ptrun.metrics.compute import Array, Undefined
from ptrun.metrics.predictions import Predictions
from ptrun.registry import metrics


def _present(p: Predictions) -> Array:
    """Whether each class occurs among the targets, bool [classes]."""
    return np.bincount(p.targets, minlength=p.spec.num_outputs) > 0


def _require_all_classes(p: Predictions) -> None:
    present = _present(p)
    if not present.all():
        absent = [name for name, there in zip(p.spec.class_names, present, strict=True) if not there]
        raise Undefined(
            f"no sample of {join_words(absent, 8)}, so only {int(present.sum())} of {len(present)} classes could be averaged"
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
