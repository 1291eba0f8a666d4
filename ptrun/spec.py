"""What data tell the model, the loss and the metrics, so that YAML never repeats it.

Invariant: a DataSpec is frozen, holds plain Python values only, and needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class Layout(StrEnum):
    """How the numbers of one sample are arranged."""

    IMAGE = "image"  # [channels, height, width]
    VECTOR = "vector"  # [features]
    SEQUENCE = "sequence"  # [steps, features]


class Task(StrEnum):
    """What is predicted for one sample."""

    CLASSIFICATION = "classification"  # one of `num_outputs` classes; target int64 [batch]
    REGRESSION = "regression"  # `num_outputs` numbers; target float32 [batch, num_outputs]


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Facts of a data set that shape everything built after it.

    input_shape: of one sample as the model receives it, without the batch dimension.
    num_outputs: classes, or numbers to predict (a forecast of H steps of K columns has H * K,
        step after step).
    class_names: one per class; empty for regression.
    target_names: one per number to predict; empty for classification.
    target_mean, target_std: one per number to predict. Targets and model outputs are in units of
        (value - mean) / std; metrics, predictions and plots are in the original units.
    feature_names: names of the columns of a vector or of the channels of a sequence, or empty.
    feature_groups: for a vector, how many consecutive entries each original column takes (a
        one-hot column takes several); sums to the number of features. Empty: one each.
    binary_features: for a vector, positions of the entries that only mark something with 0 or 1 (a category, a
        missing number). Empty: all entries are numbers.
    horizon: steps ahead that a forecast covers; 0 when it is not a forecast.
    """

    layout: Layout
    task: Task
    input_shape: tuple[int, ...]
    num_outputs: int
    class_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()
    feature_names: tuple[str, ...] = ()
    feature_groups: tuple[int, ...] = ()
    binary_features: tuple[int, ...] = ()
    horizon: int = 0

    @property
    def num_features(self) -> int:
        """Numbers in one sample."""
        return math.prod(self.input_shape)

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only, for checkpoints and JSON."""
        return {
            key: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, StrEnum) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DataSpec:
        """Inverse of `to_dict`."""
        known = {field.name for field in fields(cls)}
        kwargs: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in known
        }
        return cls(**{**kwargs, "layout": Layout(kwargs["layout"]), "task": Task(kwargs["task"])})
