"""Image pipelines: named transforms of uint8 images, then one multiply-add to normalized floats.

Invariant: what a sample looks like is a function of (seed, epoch, sample index) only, and torch's
global random state is the same before and after; order, workers and restarts change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ptrun.errors import DataError
from ptrun.rng import Floats, SampleRng
from ptrun.transforms.erasing import inside
from ptrun.transforms.to_float import scaled
from ptrun.transforms.transform import BatchTransform, MixTransform, Transform, apply, column

CHUNK_BYTES = 2**20  # of uint8 images that the varying transforms treat together on a CPU


class Pipeline:
    """The image transforms of one part of the data: fixed ones first, then varying ones, then floats, then mixtures.

    is_random: whether anything after the fixed transforms is random.
    mixes: whether `mix` does anything.
    gives_one_size: whether the fixed transforms alone make all images equal in size.
    fitted: what was computed from the training images, to be passed to `build_pipeline` at evaluation.
    facts: sentences about what was found and decided.
    fixed_transforms: the fixed transforms as they were given, to tell what was done to images that are kept.
    scales_to: the size that the first transform scales images to (see Transform), or ().
    """

    def __init__(
        self,
        named: Sequence[tuple[str, Transform | BatchTransform]],
        mixing: Sequence[MixTransform] = (),
        num_outputs: int = 0,
    ) -> None:
        first = next((i for i, (_, transform) in enumerate(named) if _is_random(transform)), len(named))
        self.gives_one_size = any(transform.sizes for _, transform in named[:first])
        self._fixed = tuple(
            (name, transform.apply) for name, transform in named[:first] if isinstance(transform, Transform)
        )
        self._varying, self.num_fixed = tuple(named[first:]), first
        # The last transform that makes sizes equal: all before it, and itself, see one image at a time when sizes differ.
        self._num_single = max((i + 1 for i, (_, transform) in enumerate(self._varying) if transform.sizes), default=0)
        self._mixing, self._num_outputs = tuple(mixing), num_outputs
        self.is_random = bool(self._varying)
        self.mixes = bool(mixing)
        self.fitted: dict[str, Any] = {}
        self.facts: tuple[str, ...] = ()
        self.fixed_transforms = ""
        self.scales_to = named[0][1].scales_to if named and isinstance(named[0][1], Transform) else ()
        self._scale_shift: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def fixed(self, images: Tensor) -> Tensor:
        """Run the deterministic transforms before the first random one on uint8 [C, H, W] or [N, C, H, W]."""
        for name, change in self._fixed:
            images = _tried(name, change, images)
        return images

    def vary_single(self, image: Tensor, draws: SampleRng) -> Tensor:
        """Run the varying transforms that need not see images of one size on one image [C, H, W] and the draws of it."""
        if not self._num_single:
            return image
        return self._run(range(self._num_single), image.unsqueeze(0), draws)[0]

    def vary_stacked(self, images: Tensor, draws: SampleRng) -> Tensor:
        """Run the varying transforms that come after those of `vary_single` on [N, C, H, W] and N draws."""
        return self._run(range(self._num_single, len(self._varying)), images, draws)

    def vary(self, images: Tensor, draws: SampleRng) -> Tensor:
        """Run all varying transforms on images of one size, uint8 [N, C, H, W], and N draws."""
        return self._run(range(len(self._varying)), images, draws)

    def _run(self, positions: range, images: Tensor, draws: SampleRng) -> Tensor:
        """A few images at a time on a CPU, so that they stay in its cache from one transform to the next; the bits are the same."""
        at_once = max(1, CHUNK_BYTES // max(1, images[0].nbytes)) if images.device.type == "cpu" else len(images)
        if len(images) <= at_once or not positions:
            return self._run_at_once(positions, images, draws)
        chunks = torch.split(images, at_once)
        parts = [self._run_at_once(positions, c, draws[i * at_once : (i + 1) * at_once]) for i, c in enumerate(chunks)]
        return torch.cat(parts)

    def _run_at_once(self, positions: range, images: Tensor, draws: SampleRng) -> Tensor:
        for position in positions:
            name, transform = self._varying[position]
            images = _tried(name, partial(apply, transform, draws=draws.fork(position)), images)
        return images

    def mix(self, inputs: Tensor, targets: Tensor, draws: SampleRng) -> tuple[Tensor, Tensor]:
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

    def _mixture(self, draws: SampleRng, height: int, width: int) -> Floats:
        """The plan of each pair (see MixTransform), [6, pairs]; a pair takes one of the mixing transforms."""
        chosen = draws.integers(0, len(self._mixing) - 1)
        plans = [transform.plan(draws.fork(i), height, width) for i, transform in enumerate(self._mixing)]
        return np.choose(chosen, plans)

    def finish(self, batch: Tensor) -> Tensor:
        """Turn uint8 [N, C, H, W] into float32: normalised, or in [0, 1] without normalize.

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
        """Shape [C, H, W] after all transforms of an image of `input_shape`. Raises DataError when a transform can't take it."""
        return self.shape_of(torch.zeros(tuple(input_shape), dtype=torch.uint8))

    def shape_of(self, image: Tensor) -> tuple[int, ...]:
        """Shape [C, H, W] that one image [C, H, W] has after all transforms."""
        return tuple(self.vary(self.fixed(image).unsqueeze(0), SampleRng.of(0, 0, [0])).shape[1:])

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


def _is_random(transform: Transform | BatchTransform) -> bool:
    return isinstance(transform, BatchTransform) or transform.random


def _tried(name: str, change: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    try:
        return change(images)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        shape = list(images.shape[-3:])
        raise DataError(f"transform: '{name}' can't take an image of shape {shape}: {error}.") from None
