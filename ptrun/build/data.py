"""Reads the data of a run and makes its image pipelines.

What is learned from data is learned from the training split, or comes from the checkpoint of a training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from ptrun import catalog, registry
from ptrun.build.image_files import check_image_files
from ptrun.config.run_config import RunConfig
from ptrun.data.dataset import Data, check_targets
from ptrun.data.formats.image_file import ImageReader
from ptrun.data.loading.image_cache import ProgressCallback
from ptrun.data.split_settings import DEFAULT_SPLIT, SplitSettings
from ptrun.data.splits import FileSplit, Split, first_readable, readable
from ptrun.errors import ConfigError
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms import statistics
from ptrun.transforms.build import build_pipeline
from ptrun.transforms.pipeline import Pipeline

assert catalog.MODULES  # importing it fills the registries


@dataclass(frozen=True)
class Pipelines:
    """How images are prepared for training and for evaluation; None for data that are no images."""

    train: Pipeline | None
    eval: Pipeline | None

    @property
    def fitted(self) -> dict[str, Any]:
        """What was learned from the training images."""
        return {**self.eval.fitted, **self.train.fitted} if self.train is not None and self.eval is not None else {}


@dataclass(frozen=True)
class Prepared:
    """The data, and how they reach the model.

    spec: with the shape that the model receives, after all image transforms.
    stored_counts: training samples of each class, from the checkpoint of a training.
    left_out: name of each validation or test sample that can't be read and is left out → why.
    """

    data: Data
    pipelines: Pipelines
    spec: DataSpec
    notes: tuple[str, ...]
    stored_counts: list[int] | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

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
            split = _decode_for(split, pipeline)
        inputs = list(readable(split, statistics.evenly_spaced(len(split), count)))
        if pipeline is None:
            return torch.stack(inputs)
        return pipeline.finish(torch.stack([pipeline.fixed(image) for image in inputs]))


def prepare(
    config: RunConfig,
    fitted: Mapping[str, Any] | None,
    checked_parts: Sequence[str] = (),
    on_progress: ProgressCallback | None = None,
) -> Prepared:
    """Read the data and make the image pipelines. Raises DataError or ConfigError.

    fitted: what the checkpoint of a training holds, so that new data are treated alike; None to learn it from the
        training split.
    checked_parts: the parts that are going to be read, whose image files are checked first.
    """
    restoring, fitted = fitted is not None, fitted or {}
    data = registry.datasets.build(
        config.dataset.name,
        config.dataset.settings,
        fitted=fitted.get("dataset"),
        splitting=_splitting(config, evaluating=restoring),
    )
    if not isinstance(data, Data):
        raise registry.datasets.wrong_result(config.dataset.name, data)
    check_targets(data, may_be_empty=restoring)
    if data.spec.layout is not Layout.IMAGE:
        return Prepared(data, Pipelines(None, None), data.spec, data.notes, fitted.get("class_counts"))
    data, left_out = check_image_files(data, checked_parts, config.train.num_workers, on_progress or _ignore_progress)
    train, evaluation = _build_pipelines(config.transform.settings, data, fitted.get("transform"))
    return Prepared(
        data=replace(
            data,
            train=_decode_for(data.train, train),
            val=_decode_for(data.val, evaluation),
            test=_decode_for(data.test, evaluation),
        ),
        pipelines=Pipelines(train, evaluation),
        spec=replace(data.spec, input_shape=_final_shape(data, train, evaluation)),
        notes=(*data.notes, *train.notes, *_notes_on_decoding(data, train, evaluation)),
        stored_counts=fitted.get("class_counts"),
        left_out=left_out,
    )


def takes_split(dataset: str) -> bool:
    """Whether a data set is divided by the group `split`; one of a plugin may divide its samples by itself."""
    return dataset in registry.datasets and "splitting" in registry.datasets.keywords(dataset)


def _splitting(config: RunConfig, *, evaluating: bool) -> SplitSettings:
    """How the samples are divided. Raises ConfigError for settings that the data set does not take."""
    settings = SplitSettings(config.split.name, **config.split.settings)
    if not takes_split(config.dataset.name) and config.dataset.name in registry.datasets:
        changed = [
            f"split.{key.name}" if key.name != "name" else "split"
            for key in fields(settings)
            if getattr(settings, key.name) != getattr(DEFAULT_SPLIT, key.name)
        ]
        if changed and not evaluating:
            raise ConfigError(
                f"{', '.join(changed)}: dataset '{config.dataset.name}' divides its samples by itself. A function with "
                "the keyword `splitting` receives these settings."
            )
    return replace(settings, evaluating=evaluating)


def _ignore_progress(work: str, done: int, total: int) -> None:
    pass


def _build_pipelines(
    transforms: Mapping[str, Any], data: Data, fitted: Mapping[str, Any] | None
) -> tuple[Pipeline, Pipeline]:
    """The pipelines of training and of evaluation; statistics come from training images, or from the checkpoint."""

    def sample_images() -> Iterator[Tensor]:
        return readable(data.train, statistics.evenly_spaced(len(data.train)))

    train = build_pipeline(transforms["train"], data.spec, fitted=fitted, sample_images=sample_images)
    evaluation = build_pipeline(transforms["eval"], data.spec, fitted=train.fitted, sample_images=sample_images)
    if evaluation.mixes:
        raise ConfigError("transform.eval: mixup and cutmix mix images for training. Move them to transform.train.")
    return train, evaluation


def build_eval_pipeline(config: RunConfig, spec: DataSpec, fitted: Mapping[str, Any]) -> Pipeline | None:
    """The pipeline that prepares images for a trained model; None for data that are no images.

    fitted: what the checkpoint of the training holds.
    """
    if spec.layout is not Layout.IMAGE:
        return None
    return build_pipeline(config.transform.settings["eval"], spec, fitted=fitted["transform"])


def _decode_for(split: Split, pipeline: Pipeline) -> Split:
    """With dataset.decode=scaled, the split with its JPEGs decoded in the size that the first image transform wants."""
    if not isinstance(split, FileSplit) or split.decode == "exact" or not isinstance(split.reader, ImageReader):
        return split
    return replace(split, reader=replace(split.reader, scaled_to=pipeline.scales_to))


def _notes_on_decoding(data: Data, train: Pipeline, evaluation: Pipeline) -> list[str]:
    """Where dataset.decode=scaled changes nothing."""
    if not isinstance(data.train, FileSplit) or data.train.decode == "exact":
        return []
    parts = [name for name, pipeline in (("train", train), ("eval", evaluation)) if not pipeline.scales_to]
    return [
        f"dataset.decode=scaled: images of transform.{part} are decoded whole, because its first image transform is "
        "no bilinear `resize`."
        for part in parts
    ]


def _final_shape(data: Data, train: Pipeline, evaluation: Pipeline) -> tuple[int, ...]:
    """The shape [C, H, W] in which images reach the model, found by sending the first image through.

    Raises ConfigError when training and evaluation end in different shapes.
    """
    sample = first_readable((data.train, data.test, data.val))
    train_shape, eval_shape = train.shape_of(sample), evaluation.shape_of(sample)
    if train_shape != eval_shape:
        raise ConfigError(
            f"transform: training images become {list(train_shape)}, evaluation images {list(eval_shape)} "
            "[channels, height, width]. Make both end in one size."
        )
    return train_shape
