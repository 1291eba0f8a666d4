"""The kinds of image transforms.

Invariant: an image transform takes and gives uint8 images, can be sent to worker processes, and imports torchvision only where
it needs it. A random one takes its numbers from `SampleRng` (or from torch's generator, seeded for each sample).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.rng import Floats, SampleRng

Statistic = str | float | Sequence[float]


@dataclass(frozen=True)
class Transform:
    """A change of uint8 images [..., channels, height, width].

    random: it draws from torch's global generator; it is then called for one image [channels, height, width] at a time.
    sizes: it gives images of one size from images of many, so that they can be stacked after it.
    scales_to: the length of the shorter side, or height and width, that it scales images to, bilinearly and antialiased.
    """

    apply: Callable[[Tensor], Tensor]
    random: bool = False
    sizes: bool = False
    scales_to: tuple[int, ...] = ()


@dataclass(frozen=True)
class BatchTransform:
    """A random change of a whole batch: apply(images [N, channels, height, width], draws of N samples).

    What becomes of an image may depend on its own draws only, so that it is the same in a batch of one.
    sizes: as for Transform.
    """

    apply: Callable[[Tensor, SampleRng], Tensor]
    sizes: bool = False


@dataclass(frozen=True)
class MixTransform:
    """A mixture of pairs of finished samples: plan(draws of N pairs, height, width) gives N columns of six numbers.

    They are the weight of a sample's own target, the weight of its own pixels, and top, bottom, left and right of the
    box whose pixels are the partner's.
    """

    plan: Callable[[SampleRng, int, int], Floats]


@dataclass(frozen=True)
class Normalize:
    """The last transform of a list: (image / 255 - mean) / std with statistics that are named, given, or computed."""

    mean: Statistic
    std: Statistic


AnyTransform = Transform | BatchTransform | MixTransform | Normalize


def apply(transform: Transform | BatchTransform, images: Tensor, draws: SampleRng) -> Tensor:
    """Run a transform on uint8 images [N, channels, height, width]."""
    if isinstance(transform, BatchTransform):
        return transform.apply(images, draws)
    if not transform.random:
        return transform.apply(images)
    generator = torch.default_generator  # not torch.manual_seed, which also seeds the GPUs
    before = generator.get_state()
    try:
        return torch.stack([_seeded(transform, image, seed) for image, seed in zip(images, draws.seeds(), strict=True)])
    finally:
        generator.set_state(before)


def _seeded(transform: Transform, image: Tensor, seed: int) -> Tensor:
    torch.default_generator.manual_seed(seed)
    return transform.apply(image)


def column(values: Floats, images: Tensor) -> Tensor:
    """One number an image, as float32 [N, 1, 1, 1] on the device of the images."""
    return beside(values.astype(np.float32), images).view(-1, 1, 1, 1)


def beside(values: NDArray[Any], images: Tensor) -> Tensor:
    """Numbers on the device of the images, sent without waiting for what the device is doing."""
    numbers = torch.from_numpy(np.ascontiguousarray(values))
    if images.device.type != "cuda":
        return numbers.to(images.device)
    return numbers.pin_memory().to(images.device, non_blocking=True)


def as_uint8(pixels: Tensor) -> Tensor:
    """Round to grey levels."""
    return pixels.round_().clamp_(0, 255).to(torch.uint8)
