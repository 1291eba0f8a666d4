"""Data and the way they reach the model: read, checked, and with their image pipelines.

Invariant: what was learned from the training split is in `fitted`, and given back it makes new data be treated alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ptrun import catalog, registry, transforms
from ptrun.errors import ConfigError, DataError
from ptrun.samples import Data, Split
from ptrun.settings import RunConfig
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries


@dataclass(frozen=True)
class Pipelines:
    """How images are prepared for training and for evaluation; None for data that are no images."""

    train: transforms.Pipeline | None
    eval: transforms.Pipeline | None

    @property
    def fitted(self) -> dict[str, Any]:
        """What was learned from the training images."""
        return {**self.eval.fitted, **self.train.fitted} if self.train is not None and self.eval is not None else {}


@dataclass(frozen=True)
class Prepared:
    """Data and the way they reach the model."""

    data: Data
    pipelines: Pipelines
    spec: DataSpec  # with the shape that the model receives
    facts: tuple[str, ...]
    stored_counts: list[int] | None = None  # of the training that a checkpoint comes from

    def fitted(self) -> dict[str, Any]:
        """Everything learned from the training split, for the checkpoint."""
        return {
            "dataset": dict(self.data.fitted),
            "transform": self.pipelines.fitted,
            "class_counts": self.class_counts,
        }

    @property
    def class_counts(self) -> list[int] | None:
        """Training samples of each class; None for numbers."""
        if self.spec.task is not Task.CLASSIFICATION or self.stored_counts is not None:
            return self.stored_counts
        counts: list[int] = torch.bincount(self.data.train.targets, minlength=self.spec.num_outputs).tolist()
        return counts


def prepare(config: RunConfig, fitted: Mapping[str, Any] | None) -> Prepared:
    """Read the data and make the image pipelines. `fitted` is what a checkpoint holds from training."""
    restoring, fitted = fitted is not None, fitted or {}
    data: Data = registry.datasets.build(config.dataset.name, config.dataset.settings, fitted=fitted.get("dataset"))
    _check_targets(data, may_be_empty=restoring)
    if data.spec.layout is not Layout.IMAGE:
        return Prepared(data, Pipelines(None, None), data.spec, data.facts, fitted.get("class_counts"))
    steps = config.transform.settings
    train = transforms.build_pipeline(
        steps["train"], data.spec, fitted=fitted.get("transform"), sample_images=lambda: _images(data.train)
    )
    evaluation = transforms.build_pipeline(
        steps["eval"], data.spec, fitted=train.fitted, sample_images=lambda: _images(data.train)
    )
    shape = _final_shape(data, train, evaluation)
    spec, facts = replace(data.spec, input_shape=shape), (*data.facts, *train.facts)
    return Prepared(data, Pipelines(train, evaluation), spec, facts, fitted.get("class_counts"))


def _images(split: Split) -> Iterator[Tensor]:
    return (split.read(index) for index in transforms.evenly_spaced(len(split)))


def _final_shape(data: Data, train: transforms.Pipeline, evaluation: transforms.Pipeline) -> tuple[int, ...]:
    """The shape [C, H, W] in which images reach the model, found by sending the first one through. Raises ConfigError when train and eval differ."""
    sample = next(split for split in (data.train, data.test, data.val) if len(split)).read(0)
    varied = train.vary(train.fixed(sample), (0, 0, 0)) if train.is_random else train.fixed(sample)
    shapes = tuple(varied.shape), tuple(evaluation.fixed(sample).shape)
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"transform: training images become {list(shapes[0])}, evaluation images {list(shapes[1])} [channels, height, width]. Make the steps of both end in one size."
        )
    return shapes[0]


def _check_targets(data: Data, *, may_be_empty: bool) -> None:
    """Raise DataError for an empty split, a class out of range, or a target that is no finite number."""
    for name, split in (("train", data.train), ("val", data.val), ("test", data.test)):
        targets = split.targets
        if len(split) == 0 and not may_be_empty:
            raise DataError(f"dataset: the {name} split is empty. Give it more data or another fraction.")
        if data.spec.task is Task.CLASSIFICATION:
            wrong = ((targets < 0) | (targets >= data.spec.num_outputs)).nonzero()
            allowed = f"a whole number from 0 to {data.spec.num_outputs - 1}"
        else:
            wrong = (~torch.isfinite(targets)).nonzero()
            allowed = "a finite number"
        if len(wrong):
            index = int(wrong[0, 0])
            raise DataError(
                f"dataset: {split.name(index)} of the {name} split has the target {targets[index].tolist()}; expected {allowed}."
            )
