"""Losses for classification: cross-entropies of softmax and of sigmoid outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.errors import ConfigError, DataError, join_words
from ptrun.losses.shapes import check_classes
from ptrun.registry import losses
from ptrun.spec import DataSpec


class CrossEntropy(nn.Module):
    """Softmax and negative log-likelihood, the mean over the samples of the batch.

    weights: of each class, float32 [classes]; each sample's loss is multiplied by the weight of its class.
    torch's own loss divides the weighted sum by the weights of the batch. Dividing by the number of samples makes
    the gradient of accumulated batches equal that of one large batch, and the validation loss independent of the
    batch size.
    """

    weights: Tensor | None

    def __init__(self, weights: Tensor | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.label_smoothing = label_smoothing

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Map logits [batch, classes] and targets, int64 [batch] or probabilities [batch, classes], to a scalar.

        Raises DataError on other shapes.
        """
        check_classes(outputs, targets)
        if self.weights is None:
            return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)
        weights = self.weights.to(outputs.dtype)
        per_sample = F.cross_entropy(
            outputs, targets, weight=weights, label_smoothing=self.label_smoothing, reduction="none"
        )
        return per_sample.mean()


@losses.register
def cross_entropy(
    spec: DataSpec,
    *,
    class_counts: Tensor | None = None,
    label_smoothing: float = 0.0,
    class_weights: Literal["balanced"] | Sequence[float] | None = None,
) -> CrossEntropy:
    """Softmax cross-entropy; label smoothing as in Szegedy et al. (2016), section 7.

    class_counts: training samples per class, int64 [classes].
    class_weights: `balanced` is samples / (classes * samples of the class), as in scikit-learn.
    Raises ConfigError for a list of another length than the classes, DataError for a class without training samples.
    """
    if class_weights == "balanced":
        counts = _require_counts(spec, class_counts, "class_weights")
        return CrossEntropy((counts.sum() / (len(counts) * counts)).float(), label_smoothing)
    if class_weights is None:
        return CrossEntropy(None, label_smoothing)
    weights = _per_class(spec, class_weights, "class_weights")
    if class_counts is not None:
        # Scaled to a mean of 1 over the training samples, so that the same learning rate suits.
        weights = weights * (class_counts.sum() / (class_counts * weights).sum())
    return CrossEntropy(weights, label_smoothing)


class BinaryCrossEntropy(nn.Module):
    """Sigmoid and negative log-likelihood: of z1 - z0 for two classes, else of each class against the rest.

    pos_weight: factor of the loss of positive samples, a scalar or float32 [classes].
    """

    pos_weight: Tensor | None

    def __init__(self, pos_weight: Tensor | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("pos_weight", pos_weight)
        self.label_smoothing = label_smoothing

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Map logits [batch, classes] and targets, int64 [batch] or probabilities [batch, classes], to a scalar.

        Raises DataError on other shapes.
        """
        check_classes(outputs, targets)
        classes = outputs.shape[1]
        probabilities = (F.one_hot(targets, classes) if targets.dim() == 1 else targets).to(outputs.dtype)
        logits, truth = outputs, probabilities
        if classes == 2:
            logits, truth = outputs[:, 1] - outputs[:, 0], probabilities[:, 1]
        truth = truth * (1 - self.label_smoothing) + self.label_smoothing / classes
        pos_weight = None if self.pos_weight is None else self.pos_weight.to(outputs.dtype)
        return F.binary_cross_entropy_with_logits(logits, truth, pos_weight=pos_weight)


@losses.register
def binary_cross_entropy(
    spec: DataSpec,
    *,
    class_counts: Tensor | None = None,
    label_smoothing: float = 0.0,
    pos_weight: Literal["balanced"] | float | Sequence[float] | None = None,
) -> BinaryCrossEntropy:
    """Sigmoid cross-entropy. Two classes: the single-logit loss of z1 - z0. More: each class against the rest.

    The mean is over samples and classes, as in timm's BinaryCrossEntropy (Wightman et al., ResNet strikes back, 2021).
    pos_weight: of the positive samples of each class; `balanced` is negatives / positives.
    Raises ConfigError for a list of another length than the classes, DataError for a class without training samples.
    """
    if pos_weight is None:
        return BinaryCrossEntropy(None, label_smoothing)
    if pos_weight == "balanced":
        counts = _require_counts(spec, class_counts, "pos_weight")
        weights = ((counts.sum() - counts) / counts).float()
        return BinaryCrossEntropy(weights[1] if len(weights) == 2 else weights, label_smoothing)
    if isinstance(pos_weight, int | float):
        return BinaryCrossEntropy(torch.tensor(float(pos_weight)), label_smoothing)
    if spec.num_outputs == 2:
        raise ConfigError(
            f"loss.pos_weight: with two classes it is one number, the weight of class '{spec.class_names[1]}'; "
            f"got {list(pos_weight)}."
        )
    return BinaryCrossEntropy(_per_class(spec, pos_weight, "pos_weight"), label_smoothing)


def _per_class(spec: DataSpec, weights: Any, setting: str) -> Tensor:
    """The weights as float32 [classes]. Raises ConfigError when their number is another."""
    if not isinstance(weights, list | tuple) or len(weights) != spec.num_outputs:
        raise ConfigError(
            f"loss.{setting}: expected 'balanced' or a list of {spec.num_outputs} numbers, "
            f"one for each of the classes {join_words(spec.class_names)}; got {weights}."
        )
    return torch.tensor(weights, dtype=torch.float32)


def _require_counts(spec: DataSpec, counts: Tensor | None, setting: str) -> Tensor:
    """Samples per class as float64, because float32 rounds large counts. Raises DataError for an empty class."""
    if counts is None:
        raise ConfigError(f"loss.{setting}: 'balanced' needs the samples per class, which this data set does not give.")
    empty = [name for name, count in zip(spec.class_names, counts.tolist(), strict=True) if count == 0]
    if empty:
        raise DataError(
            f"loss.{setting}=balanced: the training split has no sample of {join_words(empty)}, "
            "so no weight can be computed. Add samples, remove the class, or give the weights as a list."
        )
    return counts.double().cpu()
