"""Image pipelines: named steps on uint8 images, then one multiply-add to normalised floats.

Invariant: what a sample looks like is a function of (seed, epoch, sample index) only, and torch's
global random state is the same before and after; order, workers and restarts change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ptrun.errors import ConfigError, DataError
from ptrun.registry import steps
from ptrun.seeds import mix_seed
from ptrun.spec import DataSpec, Layout
from ptrun.steps import Normalize, Statistic, Step

SAMPLE_LIMIT = 2000  # images that `computed` statistics are taken from: their error is then far below one grey level
STATISTICS = {  # means and standard deviations of the channels in units of [0, 1]
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2860,), (0.3530,)),
    "half": ((0.5,), (0.5,)),
}


class Pipeline:
    """The steps of one part of the data: fixed ones first, then varying ones, then floats.

    is_random: whether `vary` does anything random.
    fitted: what was computed from the training images, to be passed to `build_pipeline` at evaluation.
    facts: sentences about what was found and decided.
    """

    def __init__(self, named: Sequence[tuple[str, Step]]) -> None:
        first = next((i for i, (_, step) in enumerate(named) if step.random), len(named))
        self._fixed, self._varying = tuple(named[:first]), tuple(named[first:])
        self.is_random = bool(self._varying)
        self.fitted: dict[str, Any] = {}
        self.facts: tuple[str, ...] = ()
        self._scale_shift: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def fixed(self, images: Tensor) -> Tensor:
        """Run the deterministic steps before the first random one on uint8 [C, H, W] or [N, C, H, W]."""
        return _run(self._fixed, images)

    def vary(self, image: Tensor, key: tuple[int, int, int]) -> Tensor:
        """Run the remaining steps on one uint8 image [C, H, W]; key = (seed, epoch, sample index)."""
        if not self._varying:
            return image
        generator = torch.default_generator  # not torch.manual_seed, which also seeds the GPUs
        before = generator.get_state()
        generator.manual_seed(mix_seed(*key))
        try:
            return _run(self._varying, image)
        finally:
            generator.set_state(before)

    def finish(self, batch: Tensor) -> Tensor:
        """Turn uint8 [N, C, H, W] into float32: normalised, or in [0, 1] without a normalize step.

        Raises DataError when the images have other channels than those the statistics are of.
        """
        if not self._scale_shift:
            return batch.float() / 255
        if batch.device not in self._scale_shift:
            scale, shift = self._scale_shift[torch.device("cpu")]
            self._scale_shift[batch.device] = scale.to(batch.device), shift.to(batch.device)
        scale, shift = self._scale_shift[batch.device]
        if batch.shape[1] != len(scale):
            raise DataError(
                f"transform: normalize has statistics of {len(scale)} channels, but the images have {batch.shape[1]}. "
                "Use images of the same kind as in training."
            )
        return batch.float().mul_(scale).add_(shift)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Shape [C, H, W] after all steps of an image of `input_shape`. Raises DataError when a step can't treat it."""
        return tuple(self.vary(self.fixed(torch.zeros(tuple(input_shape), dtype=torch.uint8)), (0, 0, 0)).shape)

    def __getstate__(self) -> dict[str, Any]:
        """What worker processes get: everything but tensors on an accelerator."""
        on_cpu = {device: pair for device, pair in self._scale_shift.items() if device.type == "cpu"}
        return {**self.__dict__, "_scale_shift": on_cpu}

    def normalize(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Let `finish` compute (image / 255 - mean) / std, one number a channel; a std of 0 counts as 1."""
        center = torch.tensor(mean, dtype=torch.float64)
        spread = torch.tensor([value or 1.0 for value in std], dtype=torch.float64)
        scale, shift = 1 / (255 * spread), -center / spread
        self._scale_shift = {torch.device("cpu"): (scale.float().view(-1, 1, 1), shift.float().view(-1, 1, 1))}


def build_pipeline(
    given: Sequence[str | Mapping[str, Mapping[str, Any] | None]],
    spec: DataSpec,
    *,
    fitted: Mapping[str, Any] | None = None,
    sample_images: Callable[[], Iterator[Tensor]] | None = None,
) -> Pipeline:
    """Build the pipeline of a list of steps, each a name or a map of one name to its settings.

    fitted: `Pipeline.fitted` of the training pipeline, so that evaluation treats images alike; None in training.
    sample_images: gives raw training images, uint8 [C, H, W] or batches of them, at the indices that
        `evenly_spaced` names; called when statistics have to be computed.
    Raises ConfigError with all mistakes of the list, DataError when the images don't fit the steps.
    """
    if spec.layout is not Layout.IMAGE:
        raise ConfigError(
            f"transform: steps change images, but the data are of layout '{spec.layout}'. Use transform=auto."
        )
    built, problems = [], []
    for position, item in enumerate(given, start=1):
        try:
            name, settings = _named(item)
            built.append((name, _build_step(name, settings)))
        except ConfigError as error:
            problems += [f"transform, step {position}: {problem}" for problem in error.problems]
    if any(isinstance(step, Normalize) for _, step in built[:-1]):
        problems.append(
            "transform: normalize has to be the last step, because all others work on uint8 images. Move it to the end."
        )
    if problems:
        raise ConfigError(problems)
    pipeline = Pipeline([(name, step) for name, step in built if isinstance(step, Step)])
    if built and isinstance(built[-1][1], Normalize):
        _fit(pipeline, built[-1][1], spec, fitted or {}, sample_images)
    return pipeline


def evenly_spaced(count: int, limit: int = SAMPLE_LIMIT) -> list[int]:
    """At most `limit` indices spread over range(count)."""
    return [i * count // limit for i in range(limit)] if count > limit else list(range(count))


def _named(item: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(item, str):
        return item, {}
    if not isinstance(item, Mapping) or len(item) != 1:
        raise ConfigError(f"expected a name or one `NAME: {{settings}}`, got {item}.")
    name, settings = next(iter(item.items()))
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(f"expected `{name}: {{SETTING: VALUE}}`, got `{name}: {settings}`.")
    return str(name), settings or {}


def _build_step(name: str, settings: Mapping[str, Any]) -> Step | Normalize:
    try:
        step: Step | Normalize = steps.build(name, settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} refuses its settings: {error}.") from None
    return step


def _run(named: Sequence[tuple[str, Step]], images: Tensor) -> Tensor:
    for name, step in named:
        try:
            images = step.apply(images)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"transform: step '{name}' can't treat an image of shape {list(images.shape)}: {error}."
            ) from None
    return images


def _fit(
    pipeline: Pipeline,
    step: Normalize,
    spec: DataSpec,
    fitted: Mapping[str, Any],
    sample_images: Callable[[], Iterator[Tensor]] | None,
) -> None:
    """Find mean and std of each channel, and give them to the pipeline."""
    facts: list[str] = []
    if "computed" in (step.mean, step.std) and not {"mean", "std"} <= set(fitted):
        if sample_images is None:
            raise ConfigError(
                "transform: normalize with computed statistics needs the training images or what was fitted to them."
            )
        mean, std, count = _statistics(pipeline.fixed(images) for images in sample_images())
        fitted = {"mean": mean, "std": std}
        facts.append(f"normalize: mean {_shown(mean)} and std {_shown(std)} of {count:,} training images.")
    channels = len(fitted["mean"]) if fitted else pipeline.output_shape(spec.input_shape)[0]
    pipeline.normalize(
        _resolve("mean", step.mean, channels, fitted, facts), _resolve("std", step.std, channels, fitted, facts)
    )
    pipeline.fitted, pipeline.facts = dict(fitted), tuple(facts)


def _resolve(
    which: Literal["mean", "std"], given: Statistic, channels: int, fitted: Mapping[str, Any], facts: list[str]
) -> list[float]:
    """One number a channel. Raises ConfigError for an unknown name or a wrong number of values."""
    if given == "computed":
        return list(fitted[which])
    if isinstance(given, str):
        if given not in STATISTICS:
            raise ConfigError(
                f"transform: normalize.{which}: there are no statistics '{given}'. Use computed, a list of numbers, or one of: {', '.join(STATISTICS)}."
            )
        values = STATISTICS[given][which == "std"]
        if channels == 1 and len(values) > 1:
            facts.append(
                f"normalize: the images have one channel, so the {which} of '{given}' is averaged over its {len(values)} channels."
            )
            return [sum(values) / len(values)]
    else:
        values = (float(given),) if isinstance(given, int | float) else tuple(given)
    if len(values) not in (1, channels):
        raise ConfigError(
            f"transform: normalize.{which}: {len(values)} values are given, but the images have {channels} channels. Give one for each, or one for all."
        )
    return [float(value) for value in values] * (channels if len(values) == 1 else 1)


def _statistics(images: Iterator[Tensor]) -> tuple[list[float], list[float], int]:
    """Mean and std of each channel in units of [0, 1], and how many images; exact sums, one image at a time."""
    total, squares, pixels, count = torch.zeros(1), torch.zeros(1), 0, 0
    for image in images:
        values = image.movedim(-3, 0).flatten(1).long()  # [channels, pixels]
        if count and len(values) != len(total):
            raise DataError(
                f"transform: normalize: some images have {len(total)} channels and others {len(values)}. Convert the files to one kind."
            )
        total, squares = total + values.sum(1).double(), squares + values.square().sum(1).double()
        pixels, count = pixels + values.shape[1], count + (len(image) if image.dim() == 4 else 1)
    if not count:
        raise DataError("transform: normalize: there are no training images to compute statistics from.")
    mean = total / pixels
    std = (squares / pixels - mean.square()).clamp(min=0).sqrt()
    return (mean / 255).tolist(), (std / 255).tolist(), count


def _shown(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.4f}" for value in values) + "]"
