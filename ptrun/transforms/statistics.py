"""Mean and standard deviation of the channels: known by name, given, or computed from training images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ptrun.errors import ConfigError, DataError
from ptrun.spec import DataSpec
from ptrun.transforms.pipeline import Pipeline
from ptrun.transforms.transform import Normalize, Statistic

_STACKED_VALUES = 2**16
SAMPLE_LIMIT = 2000  # images that statistics are computed from: the error is then far below one gray level

STATISTICS = {  # means and standard deviations of the channels, in units of [0, 1]
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2860,), (0.3530,)),
    "half": ((0.5,), (0.5,)),
}


def fit_normalize(
    pipeline: Pipeline,
    normalize: Normalize,
    spec: DataSpec,
    fitted: Mapping[str, Any],
    sample_images: Callable[[], Iterator[Tensor]] | None,
) -> None:
    """Set the mean and std of each channel in the pipeline, and what it keeps for evaluation (`fitted`) and reports.

    fitted: statistics computed earlier; if there are any, nothing is computed.
    Raises ConfigError for statistics that do not exist or do not fit the channels, DataError for unequal images.
    """
    notes: list[str] = []
    if "computed" in (normalize.mean, normalize.std) and not {"mean", "std"} <= set(fitted):
        if sample_images is None:
            raise ConfigError(
                "transform: normalize with computed statistics needs the training images or what was fitted to them."
            )
        mean, std, count = _compute_statistics(pipeline.fixed(images) for images in sample_images())
        fitted = {"mean": mean, "std": std}
        notes.append(f"normalize: mean {_format(mean)} and std {_format(std)} of {count:,} training images.")
    channels = len(fitted["mean"]) if fitted else pipeline.output_shape(spec.input_shape)[0]
    pipeline.normalize(
        _resolve("mean", normalize.mean, channels, fitted, notes),
        _resolve("std", normalize.std, channels, fitted, notes),
    )
    pipeline.fitted, pipeline.notes = dict(fitted), tuple(notes)


def _resolve(
    which: Literal["mean", "std"], statistic: Statistic, channels: int, fitted: Mapping[str, Any], notes: list[str]
) -> list[float]:
    """One number for each channel. Raises ConfigError for an unknown name or a wrong number of values."""
    if statistic == "computed":
        return list(fitted[which])
    if isinstance(statistic, str):
        if statistic not in STATISTICS:
            raise ConfigError(
                f"transform: normalize.{which}: there are no statistics '{statistic}'. "
                f"Use computed, a list of numbers, or one of: {', '.join(STATISTICS)}."
            )
        values = STATISTICS[statistic][which == "std"]
        if channels == 1 and len(values) > 1:
            notes.append(
                f"normalize: the images have one channel, so the {which} of '{statistic}' "
                f"is averaged over its {len(values)} channels."
            )
            return [sum(values) / len(values)]
    else:
        values = (float(statistic),) if isinstance(statistic, int | float) else tuple(statistic)
    if len(values) not in (1, channels):
        raise ConfigError(
            f"transform: normalize.{which}: {len(values)} values are given, but the images have {channels} channels. "
            "Give one for each, or one for all."
        )
    return [float(value) for value in values] * (channels if len(values) == 1 else 1)


def _compute_statistics(images: Iterator[Tensor]) -> tuple[list[float], list[float], int]:
    """Mean and std of each channel in units of [0, 1], and the number of images.

    From sums of whole numbers, which are exact, over a few images or one batch at a time: memory does not grow with
    their number, and images may differ in size.
    """
    total, squares, pixels, count = torch.zeros(1), torch.zeros(1), 0, 0
    for image in _stacked(images):
        values = image.movedim(-3, 0).flatten(1).long()  # [channels, pixels]
        if count and len(values) != len(total):
            raise DataError(
                f"transform: normalize: some images have {len(total)} channels and others {len(values)}. "
                "Convert the files to one kind."
            )
        total, squares = total + values.sum(1).double(), squares + values.square().sum(1).double()
        pixels, count = pixels + values.shape[1], count + (len(image) if image.dim() == 4 else 1)
    if not count:
        raise DataError("transform: normalize: there are no training images to compute statistics from.")
    mean = total / pixels
    std = (squares / pixels - mean.square()).clamp(min=0).sqrt()
    return (mean / 255).tolist(), (std / 255).tolist(), count


def _stacked(images: Iterator[Tensor]) -> Iterator[Tensor]:
    """Images of one size as a batch, while that is small: of small images, the calls take longer than the sums."""
    together: list[Tensor] = []
    for image in images:
        if together and (image.shape != together[0].shape or len(together) * image.numel() >= _STACKED_VALUES):
            yield torch.stack(together)
            together = []
        if image.dim() == 3 and image.numel() < _STACKED_VALUES:
            together.append(image)
        else:
            yield image
    if together:
        yield torch.stack(together)


def _format(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.4f}" for value in values) + "]"


def evenly_spaced(count: int, limit: int = SAMPLE_LIMIT) -> list[int]:
    """At most `limit` indices spread over range(count)."""
    return [i * count // limit for i in range(limit)] if count > limit else list(range(count))
