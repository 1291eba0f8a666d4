"""The kinds of image transforms: fixed or random, of one image or of a batch, and mixtures of two images.

All take and return uint8 images, and are pickled to worker processes. They import torchvision only when one that
needs it is made, because its import takes long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.device.capabilities import uses_pinned_memory
from ptrun.rng import Floats, SampleRng

Statistic = str | float | Sequence[float]


@dataclass(frozen=True)
class Transform:
    """A function of uint8 images [..., channels, height, width].

    random: `apply` takes random numbers from torch's global generator. It is then called with one image [channels,
        height, width] at a time, and the generator is seeded for each.
    gives_one_size: images of different sizes have the same size afterwards, so that they can be stacked.
    scales_to: the shorter side, or height and width, to which the images are resized (bilinear, antialiased); else ().
    """

    apply: Callable[[Tensor], Tensor]
    random: bool = False
    gives_one_size: bool = False
    scales_to: tuple[int, ...] = ()


@dataclass(frozen=True)
class BatchTransform:
    """A random function of a whole batch: apply(images [N, channels, height, width], random numbers of N samples).

    The result for an image may depend on the numbers of that sample only, so that it is the same in any batch.
    gives_one_size: as for Transform.
    """

    apply: Callable[[Tensor, SampleRng], Tensor]
    gives_one_size: bool = False


@dataclass(frozen=True)
class MixTransform:
    """A mixture of pairs of finished samples: plan(random numbers of N pairs, height, width) gives an array [6, N].

    The rows are: weight of a sample's own target, weight of its own pixels, and top, bottom, left and right of the box
    whose pixels come from the other sample. The weights of the other sample are one minus these.
    """

    plan: Callable[[SampleRng, int, int], Floats]


@dataclass(frozen=True)
class Normalize:
    """The last transform of a list: (image / 255 - mean) / std, with statistics that are named, given or computed."""

    mean: Statistic
    std: Statistic


AnyTransform = Transform | BatchTransform | MixTransform | Normalize


def apply(transform: Transform | BatchTransform, images: Tensor, rng: SampleRng) -> Tensor:
    """Run a transform on uint8 images [N, channels, height, width]; torch's generator is left as it was."""
    if isinstance(transform, BatchTransform):
        return transform.apply(images, rng)
    if not transform.random:
        return transform.apply(images)
    generator = torch.default_generator  # torch.manual_seed would also seed the GPUs
    state = generator.get_state()
    try:
        varied = [_seeded(transform, image, seed) for image, seed in zip(images, rng.seeds(), strict=True)]
        return torch.stack(varied) if all(isinstance(image, Tensor) for image in varied) else varied[0]
    finally:
        generator.set_state(state)


def _seeded(transform: Transform, image: Tensor, seed: int) -> Tensor:
    torch.default_generator.manual_seed(seed)
    return transform.apply(image)


def per_image(values: Floats, images: Tensor) -> Tensor:
    """One number for each image, as float32 [N, 1, 1, 1] on the device of the images."""
    return to_device(values.astype(np.float32), images.device).view(-1, 1, 1, 1)


def to_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """Copy an array to a device. To a GPU from pinned memory, so that the CPU does not wait for the GPU's queue."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if not uses_pinned_memory(device):
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def as_uint8(pixels: Tensor) -> Tensor:
    """Round in place to whole levels in [0, 255]."""
    return pixels.round_().clamp_(0, 255).to(torch.uint8)
