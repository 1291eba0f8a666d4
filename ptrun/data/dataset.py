"""What a dataset function returns, and the check of its targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ptrun.data.splits import Split
from ptrun.errors import DataError
from ptrun.spec import DataSpec, Task

CHECKED_AT_ONCE = 1024  # targets; those of a series are views that would take many times its memory


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a dataset function returns.

    fitted: what was learned from the training split (means, vocabularies, class names) in plain
        containers; given back to the same function at evaluation, so that new data are treated alike.
    notes: sentences about what was found and decided, shown at the start of a run.
    record: how the data were split (method, seed, sizes, per-class counts), written to the run folder.
    baselines: gives name → predictions [len(test), num_outputs] of a naive forecaster, in the units of the targets;
        a function, because only the final evaluation wants them.
    """

    spec: DataSpec
    train: Split
    val: Split
    test: Split
    fitted: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    baselines: Callable[[], Mapping[str, Tensor]] = dict


def check_targets(data: Data, *, may_be_empty: bool) -> None:
    """Raise DataError for an empty split, targets of another kind, a class out of range, or a target that is no finite number."""
    classes = data.spec.task is Task.CLASSIFICATION
    allowed = f"a whole number from 0 to {data.spec.num_outputs - 1}" if classes else "a finite number"
    for name, split in (("train", data.train), ("val", data.val), ("test", data.test)):
        _check_kind(name, split.targets, data.spec)
        if len(split) == 0 and not may_be_empty:
            raise DataError(f"dataset: the {name} split is empty. Give it more data or another fraction.")
        for number, part in enumerate(torch.split(split.targets, CHECKED_AT_ONCE)):
            outside = (part < 0) | (part >= data.spec.num_outputs) if classes else ~torch.isfinite(part).all(dim=1)
            if outside.any():
                index = int(outside.nonzero()[0, 0])
                raise DataError(
                    f"dataset: {split.name(number * CHECKED_AT_ONCE + index)} of the {name} split has the target "
                    f"{part[index].tolist()}; expected {allowed}."
                )


def _check_kind(name: str, targets: Tensor, spec: DataSpec) -> None:
    """Raise DataError for targets of another type or shape: class numbers are int64 [N], others floats [N, num_outputs]."""
    if spec.task is Task.CLASSIFICATION:
        fits, wanted = targets.dtype == torch.int64 and targets.dim() == 1, "int64 [N], a class number for each sample"
    else:
        fits = targets.is_floating_point() and targets.shape[1:] == (spec.num_outputs,)
        wanted = f"float32 [N, {spec.num_outputs}], the numbers to predict for each sample"
    if not fits:
        kind = str(targets.dtype).removeprefix("torch.")
        raise DataError(
            f"dataset: the targets of the {name} split are {kind} {list(targets.shape)}; expected {wanted}."
        )
