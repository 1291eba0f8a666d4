"""Image pipelines: named transforms of uint8 images, one multiply-add to normalized floats, then mixtures of pairs.

What becomes of a sample is a function of (seed, epoch, sample index) only, so that the order of samples, the number of
workers and a restart change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ptrun.errors import ConfigError, DataError
from ptrun.registry import described
from ptrun.rng import Floats, SampleRng
from ptrun.transforms.erasing import box_mask
from ptrun.transforms.to_float import to_float
from ptrun.transforms.transform import BatchTransform, MixTransform, Transform, apply, per_image

CHUNK_BYTES = 2**20  # uint8 images that the varying transforms treat at a time on a CPU


class Pipeline:
    """The image transforms of one part of the data.

    In this order: fixed transforms (up to the first random one), varying ones, conversion to floats, mixtures.
    is_random: whether any transform after the fixed ones is random.
    mixes: whether `mix` does anything.
    gives_one_size: whether all images have one size after the fixed transforms.
    num_fixed, fixed_transforms: number and description of the fixed transforms; the description names cached images.
    channels_first: whether `finish` puts the channels first in memory, for a model that computes so.
    scales_to: the size to which the first transform resizes images (see Transform), or ().
    fitted: what was computed from the training images, to be given to `build_pipeline` for evaluation.
    notes: sentences for the user about the statistics.
    """

    def __init__(
        self,
        named: Sequence[tuple[str, Transform | BatchTransform]],
        mixing: Sequence[MixTransform] = (),
        num_outputs: int = 0,
    ) -> None:
        self.num_fixed = next((i for i, (_, transform) in enumerate(named) if _is_random(transform)), len(named))
        fixed, varying = named[: self.num_fixed], named[self.num_fixed :]
        self.gives_one_size = any(transform.gives_one_size for _, transform in fixed)
        self._fixed = tuple((name, transform.apply) for name, transform in fixed if isinstance(transform, Transform))
        self._varying = tuple(varying)
        # When sizes differ, every transform up to the last that makes them equal sees one image at a time.
        last = max((i for i, (_, transform) in enumerate(varying) if transform.gives_one_size), default=-1)
        self._num_single = last + 1
        self._mixing, self._num_outputs = tuple(mixing), num_outputs
        self.is_random = bool(varying)
        self.mixes = bool(mixing)
        self.channels_first = False
        self.scales_to = named[0][1].scales_to if named and isinstance(named[0][1], Transform) else ()
        self.fixed_transforms = ""
        self.fitted: dict[str, Any] = {}
        self.notes: tuple[str, ...] = ()
        self._scale_shift: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def fixed(self, images: Tensor) -> Tensor:
        """Run the fixed transforms on uint8 [C, H, W] or [N, C, H, W]. Raises DataError when one can't take them."""
        for name, transform in self._fixed:
            images = _apply_named(name, transform, images)
        return images

    def vary_single(self, image: Tensor, rng: SampleRng) -> Tensor:
        """Run the varying transforms that take images of any size, on one image [C, H, W] and its random numbers."""
        if not self._num_single:
            return image
        return self._run(range(self._num_single), image.unsqueeze(0), rng)[0]

    def vary_stacked(self, images: Tensor, rng: SampleRng) -> Tensor:
        """Run the varying transforms that come after those of `vary_single`, on [N, C, H, W] and their numbers."""
        return self._run(range(self._num_single, len(self._varying)), images, rng)

    def vary(self, images: Tensor, rng: SampleRng) -> Tensor:
        """Run all varying transforms on images of one size, uint8 [N, C, H, W], and their random numbers."""
        return self._run(range(len(self._varying)), images, rng)

    def _run(self, positions: range, images: Tensor, rng: SampleRng) -> Tensor:
        """Run varying transforms; on a CPU a few images at a time, which then stay in its cache. The bits are equal."""
        on_cpu = images.device.type == "cpu"
        chunk = max(1, CHUNK_BYTES // max(1, images[0].nbytes)) if on_cpu else len(images)
        if len(images) <= chunk or not positions:
            return self._run_chunk(positions, images, rng)
        chunks = torch.split(images, chunk)
        return torch.cat(
            [self._run_chunk(positions, part, rng[i * chunk : (i + 1) * chunk]) for i, part in enumerate(chunks)]
        )

    def _run_chunk(self, positions: range, images: Tensor, rng: SampleRng) -> Tensor:
        for position in positions:
            name, transform = self._varying[position]
            images = _apply_named(name, partial(apply, transform, rng=rng.fork(position)), images)
        return images

    def mix(self, inputs: Tensor, targets: Tensor, rng: SampleRng) -> tuple[Tensor, Tensor]:
        """Mix the pairs of a batch of finished samples [N, C, H, W], and their targets.

        Classes [N] become probabilities [N, num_outputs]. Pairs are neighbors; see mixing.py.
        """
        if targets.dim() == 1:
            targets = one_hot(targets, self._num_outputs).float()
        num_pairs = len(inputs) // 2
        if num_pairs == 0:
            return inputs, targets
        num_paired = 2 * num_pairs
        plan = self._plan(rng[0:num_paired:2].fork(len(self._varying)), inputs.shape[-2], inputs.shape[-1])
        mixed_inputs, mixed_targets = _mix_pairs(inputs[:num_paired], targets[:num_paired], np.repeat(plan, 2, axis=1))
        if len(inputs) == num_paired:
            return mixed_inputs, mixed_targets
        return torch.cat([mixed_inputs, inputs[num_paired:]]), torch.cat([mixed_targets, targets[num_paired:]])

    def _plan(self, rng: SampleRng, height: int, width: int) -> Floats:
        """How each pair is mixed (see MixTransform), [6, pairs]: by one of the mix transforms, drawn at random."""
        chosen = rng.integers(0, len(self._mixing) - 1)
        plans = [transform.plan(rng.fork(i), height, width) for i, transform in enumerate(self._mixing)]
        return np.choose(chosen, plans)

    def finish(self, batch: Tensor) -> Tensor:
        """Convert uint8 [N, C, H, W] to float32: normalized, or in [0, 1] without `normalize`.

        Raises DataError when the number of channels is not that of the statistics.
        """
        if not self._scale_shift:
            return to_float(batch, None, None, channels_first=self.channels_first)
        if batch.device not in self._scale_shift:
            scale, shift = self._scale_shift[torch.device("cpu")]
            self._scale_shift[batch.device] = scale.to(batch.device), shift.to(batch.device)
        scale, shift = self._scale_shift[batch.device]
        if batch.shape[1] != len(scale):
            raise DataError(
                f"transform: normalize has statistics of {len(scale)} channels, but the images have {batch.shape[1]}. "
                "Use images of the same kind as in training."
            )
        return to_float(batch, scale, shift, channels_first=self.channels_first)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Shape [C, H, W] of an image of `input_shape` after all transforms. Raises DataError if one can't take it."""
        return self.shape_of(torch.zeros(tuple(input_shape), dtype=torch.uint8))

    def shape_of(self, image: Tensor) -> tuple[int, ...]:
        """Shape [C, H, W] of one image [C, H, W] after all transforms. Raises DataError when one can't take it."""
        return tuple(self.vary(self.fixed(image).unsqueeze(0), SampleRng.of(0, 0, [0])).shape[1:])

    def normalize(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Let `finish` compute (image / 255 - mean) / std, one number for each channel; a std of 0 counts as 1."""
        center = torch.tensor(mean, dtype=torch.float64)
        spread = torch.tensor([value or 1.0 for value in std], dtype=torch.float64)
        scale, shift = 1 / (255 * spread), -center / spread
        self._scale_shift = {torch.device("cpu"): (scale.float().view(-1, 1, 1), shift.float().view(-1, 1, 1))}

    @property
    def scale_shift(self) -> tuple[Tensor, Tensor] | None:
        """The two tensors [C, 1, 1] of `finish`, on the CPU; None without `normalize`, when it divides by 255."""
        return self._scale_shift.get(torch.device("cpu"))

    def __getstate__(self) -> dict[str, Any]:
        """The state without tensors on an accelerator, which worker processes must not touch."""
        on_cpu = {device: pair for device, pair in self._scale_shift.items() if device.type == "cpu"}
        return {**self.__dict__, "_scale_shift": on_cpu}


def _mix_pairs(inputs: Tensor, targets: Tensor, plan: Floats) -> tuple[Tensor, Tensor]:
    """Mix each sample with its partner, the other one of its pair, by its column of `plan` (see MixTransform)."""
    partners = torch.arange(len(inputs), device=inputs.device) ^ 1  # 1, 0, 3, 2, ...
    partner_inputs, input_weights = inputs[partners], per_image(plan[1], inputs)
    target_weights = per_image(plan[0], inputs).view(-1, 1)
    mixed = inputs
    if not (plan[1] == 1).all():
        mixed = input_weights * inputs + (1 - input_weights) * partner_inputs
    if plan[2:].any():
        mixed = torch.where(box_mask(inputs, *plan[2:].astype(np.int64)), partner_inputs, mixed)
    return mixed, target_weights * targets + (1 - target_weights) * targets[partners]


def _is_random(transform: Transform | BatchTransform) -> bool:
    return isinstance(transform, BatchTransform) or transform.random


def _apply_named(name: str, transform: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    try:
        result = transform(images)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        shape = list(images.shape[-3:])
        raise DataError(f"transform: '{name}' can't take an image of shape {shape}: {error}.") from None
    if not isinstance(result, Tensor) or result.dtype != torch.uint8 or result.dim() != images.dim():
        raise ConfigError(
            f"transform: '{name}' was given {described(images)} and returned {described(result)}. It has to return "
            "uint8 images [..., channels, height, width]; they become floats after all transforms."
        )
    return result
