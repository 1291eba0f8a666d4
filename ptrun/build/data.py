"""Reads the data of a run and makes the image pipelines: configuration → `Prepared`.

Invariant: what is learned from data is learned from the training split, or comes from the checkpoint of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ptrun import catalog, registry
from ptrun.config.run_config import RunConfig
from ptrun.data.dataset import Data, check_targets
from ptrun.data.formats.image_file import ImageReader
from ptrun.data.splits import FileSplit, Split, first_readable, readable
from ptrun.errors import ConfigError
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms import build, pipeline, statistics

assert catalog.MODULES  # importing it filled the registries


@dataclass(frozen=True)
class Pipelines:
    """How images are prepared for training and for evaluation; None for data that are no images."""

    train: pipeline.Pipeline | None
    eval: pipeline.Pipeline | None

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
    notes: tuple[str, ...]
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

    def sample_inputs(self, count: int) -> Tensor:
        """At most `count` training inputs, evenly spaced, as the model receives them in evaluation, on the CPU."""
        split, pipeline = self.data.train, self.pipelines.eval
        if pipeline is not None:
            split = _decoded_for(split, pipeline)
        inputs = list(readable(split, statistics.evenly_spaced(len(split), count)))
        if pipeline is None:
            return torch.stack(inputs)
        return pipeline.finish(torch.stack([pipeline.fixed(image) for image in inputs]))


def prepare(config: RunConfig, fitted: Mapping[str, Any] | None) -> Prepared:
    """Read the data and make the image pipelines. `fitted` is what a checkpoint holds from training."""
    restoring, fitted = fitted is not None, fitted or {}
    data: Data = registry.datasets.build(config.dataset.name, config.dataset.settings, fitted=fitted.get("dataset"))
    check_targets(data, may_be_empty=restoring)
    if data.spec.layout is not Layout.IMAGE:
        return Prepared(data, Pipelines(None, None), data.spec, data.notes, fitted.get("class_counts"))
    lists = config.transform.settings
    train = build.build_pipeline(
        lists["train"], data.spec, fitted=fitted.get("transform"), sample_images=lambda: _images(data.train)
    )
    evaluation = build.build_pipeline(
        lists["eval"], data.spec, fitted=train.fitted, sample_images=lambda: _images(data.train)
    )
    if evaluation.mixes:
        raise ConfigError("transform.eval: mixup and cutmix mix images for training. Move them to transform.train.")
    shape = _final_shape(data, train, evaluation)
    spec, notes = (
        replace(data.spec, input_shape=shape),
        (*data.notes, *train.notes, *_not_scaled(data, train, evaluation)),
    )
    data = replace(
        data,
        train=_decoded_for(data.train, train),
        val=_decoded_for(data.val, evaluation),
        test=_decoded_for(data.test, evaluation),
    )
    return Prepared(data, Pipelines(train, evaluation), spec, notes, fitted.get("class_counts"))


def _decoded_for(split: Split, pipeline: pipeline.Pipeline) -> Split:
    """The split whose large JPEGs are read in the size that the first image transform scales to, where `dataset.decode` asks for that."""
    if not isinstance(split, FileSplit) or split.decode == "exact" or not isinstance(split.reader, ImageReader):
        return split
    return replace(split, reader=replace(split.reader, scaled_to=pipeline.scales_to))


def _not_scaled(data: Data, train: pipeline.Pipeline, evaluation: pipeline.Pipeline) -> list[str]:
    """Say where dataset.decode=scaled changes nothing."""
    if not isinstance(data.train, FileSplit) or data.train.decode == "exact":
        return []
    parts = [name for name, pipeline in (("train", train), ("eval", evaluation)) if not pipeline.scales_to]
    return [
        f"dataset.decode=scaled: images of transform.{part} are decoded whole, because its first image transform is no bilinear `resize`."
        for part in parts
    ]


def _images(split: Split) -> Iterator[Tensor]:
    return readable(split, statistics.evenly_spaced(len(split)))


def _final_shape(data: Data, train: pipeline.Pipeline, evaluation: pipeline.Pipeline) -> tuple[int, ...]:
    """The shape [C, H, W] in which images reach the model, found by sending the first one through. Raises ConfigError when train and eval differ."""
    sample = first_readable((data.train, data.test, data.val))
    shapes = train.shape_of(sample), evaluation.shape_of(sample)
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"transform: training images become {list(shapes[0])}, evaluation images {list(shapes[1])} [channels, height, width]. Make both end in one size."
        )
    return shapes[0]
