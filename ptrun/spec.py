"""What the model, the loss and the metrics have to know about the data, so that YAML need not repeat it.

It needs no torch, and becomes plain containers for checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class Layout(StrEnum):
    """The kind of one sample."""

    IMAGE = "image"  # [channels, height, width]
    VECTOR = "vector"  # [features]
    SEQUENCE = "sequence"  # [time, features]


class Task(StrEnum):
    """What is predicted for a sample."""

    CLASSIFICATION = "classification"  # one of `num_outputs` classes; target int64 [batch]
    REGRESSION = "regression"  # `num_outputs` numbers; target float32 [batch, num_outputs]


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Properties of a data set on which the parts built after it depend.

    input_shape: shape of one sample as the model receives it, without the batch dimension.
    num_outputs: number of classes, or of numbers to predict. A forecast of K columns over H time steps has H * K: all
        columns of the first time step, then all of the second, and so on.
    class_names: one for each class; empty for regression.
    target_names: one for each number to predict; empty for classification.
    target_mean, target_std: one for each number to predict, or empty. Targets and model outputs are in units of
        (value - mean) / std; metrics, predictions and plots are in the original units.
    feature_names: names of the columns of a vector or of the channels of a sequence, or empty.
    feature_groups: for a vector, how many consecutive entries each original column takes (several when it is one-hot).
        Their sum is the number of features. Empty: one each.
    binary_features: for a vector, positions of the entries that are 0 or 1 (a category, or whether a number is
        missing). Empty: all entries are numbers.
    padding_channel: whether the last channel of a sequence is 1 in the steps of padding before its first time step, and
        0 in all others. Data sets of sequences of unequal lengths have it.
    horizon: time steps that a forecast covers; 0 when the task is not a forecast.
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
    padding_channel: bool = False
    horizon: int = 0

    @property
    def num_features(self) -> int:
        """Numbers in one sample."""
        return math.prod(self.input_shape)

    @property
    def num_measured_channels(self) -> int:
        """Channels of a sequence without the padding channel."""
        return self.input_shape[-1] - self.padding_channel

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only, for checkpoints and JSON."""
        return {
            key: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, StrEnum) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DataSpec:
        """Inverse of `to_dict`; ignores keys that a later version may have added."""
        names = {field.name for field in fields(cls)}
        kwargs: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in names
        }
        return cls(**{**kwargs, "layout": Layout(kwargs["layout"]), "task": Task(kwargs["task"])})
