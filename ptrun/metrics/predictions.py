"""A model's predictions of a whole split, in classes or in the original units of the targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from ptrun.errors import DataError
from ptrun.spec import DataSpec, Task

Array = NDArray[Any]


@dataclass(frozen=True)
class Predictions:
    """Targets and predictions of all samples of a split.

    targets: classes int64 [N], or numbers float64 [N, num_outputs] in the original units.
    values: the predicted classes or numbers, of the same shape and units.
    probabilities: float64 [N, num_outputs] for classification, else None.
    """

    spec: DataSpec
    targets: Array
    values: Array
    probabilities: Array | None = None


def to_predictions(spec: DataSpec, outputs: Tensor, targets: Tensor, one_vs_rest: bool = False) -> Predictions:
    """Turn model outputs [N, num_outputs] and targets, as the loss sees them, into classes or original units.

    one_vs_rest: the model was trained with one sigmoid per class; with more than two classes these are scaled to sum
        to 1.
    Raises DataError when the shapes do not fit the spec.
    """
    targets = targets.detach().cpu()
    require_shapes(spec, outputs, targets)
    values, probabilities = interpret(spec, outputs, one_vs_rest)
    if spec.task is Task.CLASSIFICATION:
        return Predictions(spec, targets.long().numpy(), values, probabilities)
    return Predictions(spec, _in_original_units(spec, targets.double()), values)


def interpret(spec: DataSpec, outputs: Tensor, one_vs_rest: bool = False) -> tuple[Array, Array | None]:
    """What model outputs [N, num_outputs] say: classes int64 [N] and their probabilities, or numbers in original units.

    The probabilities are float64 [N, num_outputs]; None for numbers.
    """
    outputs = outputs.detach().cpu().double()
    if spec.task is Task.CLASSIFICATION:
        scores = logsigmoid(outputs) if one_vs_rest and spec.num_outputs > 2 else outputs
        return outputs.argmax(1).numpy(), scores.softmax(1).numpy()
    return _in_original_units(spec, outputs), None


def _in_original_units(spec: DataSpec, numbers: Tensor) -> Array:
    """Scaled numbers float64 [N, num_outputs] as they were in the data."""
    mean, std = np.asarray(spec.target_mean or 0.0), np.asarray(spec.target_std or 1.0)
    originals: Array = numbers.numpy() * std + mean
    return originals


def require_shapes(spec: DataSpec, outputs: Tensor, targets: Tensor) -> None:
    """Raise DataError when outputs and targets do not have the shapes that metrics of these data need."""
    expected = (len(outputs),) if spec.task is Task.CLASSIFICATION else (len(outputs), spec.num_outputs)
    if tuple(outputs.shape) != (len(outputs), spec.num_outputs) or tuple(targets.shape) != expected:
        raise DataError(
            f"Metrics need outputs [samples, {spec.num_outputs}] and targets {['samples', *expected[1:]]}; "
            f"got {list(outputs.shape)} and {list(targets.shape)}."
        )


def confusion_matrix(predictions: Predictions) -> Array:
    """Counts [classes, classes] int64: row = true class, column = predicted class."""
    classes = predictions.spec.num_outputs
    positions = predictions.targets * classes + predictions.values
    return np.bincount(positions, minlength=classes**2).reshape(classes, classes)


def per_class_scores(predictions: Predictions) -> dict[str, dict[str, float | int | None]]:
    """Precision, recall, F1 and support (its samples) by class name; None where the denominator is 0."""
    counts = confusion_matrix(predictions)
    correct, predicted, support = np.diag(counts), counts.sum(0), counts.sum(1)
    return {
        name: {
            "precision": _ratio(correct[i], predicted[i]),
            "recall": _ratio(correct[i], support[i]),
            "f1": _ratio(2 * correct[i], predicted[i] + support[i]),
            "support": int(support[i]),
        }
        for i, name in enumerate(predictions.spec.class_names)
    }


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None
