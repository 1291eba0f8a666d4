"""What a dataset function returns, and the check of its targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.data.splits import Split
from ptrun.errors import DataError
from ptrun.spec import DataSpec, Task

CHUNK_TARGETS = 1024  # checked at a time: the targets of a series are views, and a copy of all takes far more memory


@dataclass(frozen=True)
class SampleGroups:
    """Groups for which results are given one by one. of: part → the number of the group of each sample [N].

    column: that tells them apart.
    """

    column: str
    names: Sequence[str]
    of: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a dataset function returns.

    fitted: what was learned from the training split (means, vocabularies, class names) in plain containers. An
        evaluation passes it to the same function, so that other data are prepared in the same way.
    notes: sentences about what was found and decided, shown at the start of a run.
    record: how the data were divided (method, seed, sizes, samples of each class), written to the run folder.
    baselines: function that returns name → predictions [len(test), num_outputs] of naive forecasts, in the units of
        the targets. Only the last evaluation calls it.
    groups: such as the series in one file, whose results are also given for each.
    """

    spec: DataSpec
    train: Split
    val: Split
    test: Split
    fitted: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    baselines: Callable[[], Mapping[str, Tensor]] = dict
    groups: SampleGroups | None = None


def check_targets(data: Data, *, may_be_empty: bool) -> None:
    """Raise DataError for an empty split, targets of a wrong type, a class out of range, or a non-finite target."""
    for name, split in (("train", data.train), ("val", data.val), ("test", data.test)):
        _check_type(name, split.targets, data.spec)
        if len(split) == 0 and not may_be_empty:
            raise DataError(f"dataset: the {name} split is empty. Give it more data or another fraction.")
        _check_values(name, split, data.spec)


def _check_type(name: str, targets: Tensor, spec: DataSpec) -> None:
    """Raise DataError unless targets are int64 [N] for classes, or floats [N, num_outputs] for numbers."""
    if spec.task is Task.CLASSIFICATION:
        is_right = targets.dtype == torch.int64 and targets.dim() == 1
        expected = "int64 [N], a class number for each sample"
    else:
        is_right = targets.is_floating_point() and targets.shape[1:] == (spec.num_outputs,)
        expected = f"float32 [N, {spec.num_outputs}], the numbers to predict for each sample"
    if not is_right:
        dtype = str(targets.dtype).removeprefix("torch.")
        raise DataError(
            f"dataset: the targets of the {name} split are {dtype} {list(targets.shape)}; expected {expected}."
        )


def _check_values(name: str, split: Split, spec: DataSpec) -> None:
    """Raise DataError naming the first sample whose class is out of range or whose number is non-finite."""
    is_class = spec.task is Task.CLASSIFICATION
    expected = f"a whole number from 0 to {spec.num_outputs - 1}" if is_class else "a finite number"
    for number, targets in enumerate(torch.split(split.targets, CHUNK_TARGETS)):
        bad = (targets < 0) | (targets >= spec.num_outputs) if is_class else ~torch.isfinite(targets).all(dim=1)
        if bad.any():
            index = int(bad.nonzero()[0, 0])
            raise DataError(
                f"dataset: {split.name(number * CHUNK_TARGETS + index)} of the {name} split has the target "
                f"{targets[index].tolist()}; expected {expected}."
            )
