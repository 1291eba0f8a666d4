"""Image pipelines: named steps on uint8 images, then one multiply-add to normalised floats.

Invariant: what a sample looks like is a function of (seed, epoch, sample index) only, and torch's
global random state is the same before and after; order, workers and restarts change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ptrun.draws import Draws, Floats
from ptrun.errors import ConfigError, DataError
from ptrun.registry import steps
from ptrun.spec import DataSpec, Layout
from ptrun.steps.erasing import inside
from ptrun.steps.floats import scaled
from ptrun.steps.step import AnyStep, BatchStep, MixStep, Normalize, Statistic, Step, apply, column

CHUNK_BYTES = 2**20  # of uint8 images that the varying steps treat together on a CPU
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
    """The steps of one part of the data: fixed ones first, then varying ones, then floats, then mixtures.

    is_random: whether anything after the fixed steps is random.
    mixes: whether `mix` does anything.
    gives_one_size: whether the fixed steps alone make all images equal in size.
    fitted: what was computed from the training images, to be passed to `build_pipeline` at evaluation.
    facts: sentences about what was found and decided.
    fixed_steps: the fixed steps as they were given, to tell what was done to images that are kept.
    scales_to: the size that the first step scales images to (see Step), or ().
    """

    def __init__(
        self, named: Sequence[tuple[str, Step | BatchStep]], mixing: Sequence[MixStep] = (), num_outputs: int = 0
    ) -> None:
        first = next((i for i, (_, step) in enumerate(named) if _is_random(step)), len(named))
        self.gives_one_size = any(step.sizes for _, step in named[:first])
        self._fixed = tuple((name, step.apply) for name, step in named[:first] if isinstance(step, Step))
        self._varying, self.num_fixed = tuple(named[first:]), first
        # The last step that makes sizes equal: all before it, and itself, see one image at a time when sizes differ.
        self._num_single = max((i + 1 for i, (_, step) in enumerate(self._varying) if step.sizes), default=0)
        self._mixing, self._num_outputs = tuple(mixing), num_outputs
        self.is_random = bool(self._varying)
        self.mixes = bool(mixing)
        self.fitted: dict[str, Any] = {}
        self.facts: tuple[str, ...] = ()
        self.fixed_steps = ""
        self.scales_to = named[0][1].scales_to if named and isinstance(named[0][1], Step) else ()
        self._scale_shift: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def fixed(self, images: Tensor) -> Tensor:
        """Run the deterministic steps before the first random one on uint8 [C, H, W] or [N, C, H, W]."""
        for name, change in self._fixed:
            images = _tried(name, change, images)
        return images

    def vary_single(self, image: Tensor, draws: Draws) -> Tensor:
        """Run the varying steps that need not see images of one size on one image [C, H, W] and the draws of it."""
        if not self._num_single:
            return image
        return self._run(range(self._num_single), image.unsqueeze(0), draws)[0]

    def vary_stacked(self, images: Tensor, draws: Draws) -> Tensor:
        """Run the varying steps that come after those of `vary_single` on [N, C, H, W] and N draws."""
        return self._run(range(self._num_single, len(self._varying)), images, draws)

    def vary(self, images: Tensor, draws: Draws) -> Tensor:
        """Run all varying steps on images of one size, uint8 [N, C, H, W], and N draws."""
        return self._run(range(len(self._varying)), images, draws)

    def _run(self, positions: range, images: Tensor, draws: Draws) -> Tensor:
        """A few images at a time on a CPU, so that they stay in its cache from step to step; the bits are the same."""
        at_once = max(1, CHUNK_BYTES // max(1, images[0].nbytes)) if images.device.type == "cpu" else len(images)
        if len(images) <= at_once or not positions:
            return self._run_at_once(positions, images, draws)
        chunks = torch.split(images, at_once)
        parts = [self._run_at_once(positions, c, draws[i * at_once : (i + 1) * at_once]) for i, c in enumerate(chunks)]
        return torch.cat(parts)

    def _run_at_once(self, positions: range, images: Tensor, draws: Draws) -> Tensor:
        for position in positions:
            name, step = self._varying[position]
            images = _tried(name, partial(apply, step, draws=draws.fork(position)), images)
        return images

    def mix(self, inputs: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Mix each pair of finished samples [N, C, H, W] of a batch and their targets; classes become shares [N, num_outputs]."""
        if targets.dim() == 1:
            targets = one_hot(targets, self._num_outputs).float()
        pairs = len(inputs) // 2
        if pairs == 0:
            return inputs, targets
        plan = self._mixture(draws[0 : 2 * pairs : 2].fork(len(self._varying)), inputs.shape[-2], inputs.shape[-1])
        plan = np.repeat(plan, 2, axis=1)
        partners = torch.arange(2 * pairs, device=inputs.device) ^ 1
        images, labels = inputs[: 2 * pairs], targets[: 2 * pairs]
        theirs, weight, share = images[partners], column(plan[1], images), column(plan[0], images).view(-1, 1)
        blended = images if (plan[1] == 1).all() else weight * images + (1 - weight) * theirs
        if plan[2:].any():
            blended = torch.where(inside(images, *plan[2:].astype(np.int64)), theirs, blended)
        labels = share * labels + (1 - share) * labels[partners]
        if len(inputs) == 2 * pairs:
            return blended, labels
        return torch.cat([blended, inputs[2 * pairs :]]), torch.cat([labels, targets[2 * pairs :]])

    def _mixture(self, draws: Draws, height: int, width: int) -> Floats:
        """The plan of each pair (see MixStep), [6, pairs]; a pair takes one of the mixing steps."""
        chosen = draws.integers(0, len(self._mixing) - 1)
        plans = [step.plan(draws.fork(i), height, width) for i, step in enumerate(self._mixing)]
        return np.choose(chosen, plans)

    def finish(self, batch: Tensor) -> Tensor:
        """Turn uint8 [N, C, H, W] into float32: normalised, or in [0, 1] without a normalize step.

        Raises DataError when the images have other channels than those the statistics are of.
        """
        if not self._scale_shift:
            return scaled(batch, None, None)
        if batch.device not in self._scale_shift:
            scale, shift = self._scale_shift[torch.device("cpu")]
            self._scale_shift[batch.device] = scale.to(batch.device), shift.to(batch.device)
        scale, shift = self._scale_shift[batch.device]
        if batch.shape[1] != len(scale):
            raise DataError(
                f"transform: normalize has statistics of {len(scale)} channels, but the images have {batch.shape[1]}. "
                "Use images of the same kind as in training."
            )
        return scaled(batch, scale, shift)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Shape [C, H, W] after all steps of an image of `input_shape`. Raises DataError when a step can't treat it."""
        return self.shape_of(torch.zeros(tuple(input_shape), dtype=torch.uint8))

    def shape_of(self, image: Tensor) -> tuple[int, ...]:
        """Shape [C, H, W] that one image [C, H, W] has after all steps."""
        return tuple(self.vary(self.fixed(image).unsqueeze(0), Draws.of(0, 0, [0])).shape[1:])

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
    built: list[tuple[str, AnyStep]] = []
    problems: list[str] = []
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
    images = [(name, step) for name, step in built if isinstance(step, Step | BatchStep)]
    mixing = [step for _, step in built if isinstance(step, MixStep)]
    if mixing and any(isinstance(step, MixStep) for _, step in built[: len(images)]):
        problems.append(
            "transform: mixup and cutmix mix finished images. Put them after the steps that change one image."
        )
    if problems:
        raise ConfigError(problems)
    pipeline = Pipeline(images, mixing, spec.num_outputs)
    pipeline.fixed_steps = repr([(item, steps.source_digest(_named(item)[0])) for item in given[: pipeline.num_fixed]])
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


def _build_step(name: str, settings: Mapping[str, Any]) -> AnyStep:
    try:
        step: AnyStep = steps.build(name, settings)
    except (TypeError, ValueError, IndexError) as error:
        raise ConfigError(f"{name} refuses its settings: {error}.") from None
    return step


def _is_random(step: Step | BatchStep) -> bool:
    return isinstance(step, BatchStep) or step.random


def _tried(name: str, change: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    try:
        return change(images)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        shape = list(images.shape[-3:])
        raise DataError(f"transform: step '{name}' can't treat an image of shape {shape}: {error}.") from None


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
