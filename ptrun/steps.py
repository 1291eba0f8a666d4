"""The steps of an image pipeline, each a function of plain settings.

Invariant: steps take and give uint8 images [..., channels, height, width], draw only from torch's
global generator, can be sent to worker processes, and import torchvision only where they need it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ptrun.registry import steps

Statistic = str | float | Sequence[float]
Interpolation = Literal["nearest", "bilinear", "bicubic"]


@dataclass(frozen=True)
class Step:
    """One change of uint8 images [..., channels, height, width]; `random` if it draws from torch's global generator."""

    apply: Callable[[Tensor], Tensor]
    random: bool = False


@dataclass(frozen=True)
class Normalize:
    """The last step: (image / 255 - mean) / std with statistics that are named, given, or computed."""

    mean: Statistic
    std: Statistic


@steps.register
def normalize(*, mean: Statistic = "computed", std: Statistic = "computed") -> Normalize:
    """Statistics in units of [0, 1]; applied to whole batches on the device."""
    return Normalize(mean, std)


@steps.register
def resize(*, size: int | Sequence[int], interpolation: Interpolation = "bilinear") -> Step:
    """Scale the shorter side to `size`, or to [height, width]; antialiased."""
    from torchvision.transforms import v2

    return Step(v2.Resize(_size(size), interpolation=_mode(interpolation), antialias=True))


@steps.register
def center_crop(*, size: int | Sequence[int]) -> Step:
    """Cut out the middle; smaller images are padded with black."""
    from torchvision.transforms import v2

    return Step(v2.CenterCrop(size))


@steps.register
def pad(*, padding: int | Sequence[int], fill: int = 0) -> Step:
    """Add a border: one number, [left and right, top and bottom], or [left, top, right, bottom]."""
    from torchvision.transforms import v2

    return Step(v2.Pad(padding, fill=fill))


@steps.register
def grayscale(*, channels: int = 1) -> Step:
    """Luma of the colours (ITU-R BT.601), as one channel or three equal ones; grey images are copied."""
    from torchvision.transforms import v2

    return Step(v2.Grayscale(channels))


@steps.register
def random_crop(
    *,
    size: int | Sequence[int] | None = None,
    padding: int = 0,
    padding_mode: Literal["constant", "reflect", "edge"] = "constant",
) -> Step:
    """Cut out `size` (None: the image's own) at a random place after padding (He et al., 2016, section 4.2)."""
    return Step(partial(_random_crop, size, padding, padding_mode), random=True)


def _random_crop(size: int | Sequence[int] | None, padding: int, padding_mode: str, image: Tensor) -> Tensor:
    """Draws as torchvision's RandomCrop does, at a third of its time and without its import."""
    own = tuple(image.shape[-2:])
    height, width = own if size is None else (size, size) if isinstance(size, int) else size
    padded = _padded(image, padding, padding_mode) if padding else image
    spare_rows, spare_columns = padded.shape[-2] - height, padded.shape[-1] - width
    if min(spare_rows, spare_columns) < 0:
        raise ValueError(f"a crop of {height} x {width} is larger than {padded.shape[-2]} x {padded.shape[-1]}")
    top = int(torch.randint(0, spare_rows + 1, (1,))) if spare_rows else 0
    left = int(torch.randint(0, spare_columns + 1, (1,))) if spare_columns else 0
    return padded[..., top : top + height, left : left + width]


def _padded(image: Tensor, padding: int, mode: str) -> Tensor:
    if mode == "constant":
        return F.pad(image, [padding] * 4)
    from torchvision.transforms.v2 import functional

    padded: Tensor = functional.pad(image, [padding] * 4, padding_mode=mode)
    return padded


@steps.register
def random_resized_crop(
    *,
    size: int | Sequence[int],
    scale: Sequence[float] = (0.08, 1.0),
    ratio: Sequence[float] = (0.75, 1.3333),
    interpolation: Interpolation = "bilinear",
) -> Step:
    """Cut out a random share of the area at a random aspect and scale it to `size` (Szegedy et al., 2015)."""
    from torchvision.transforms import v2

    crop = v2.RandomResizedCrop(
        size, scale=tuple(scale), ratio=tuple(ratio), interpolation=_mode(interpolation), antialias=True
    )
    return Step(crop, random=True)


@steps.register
def horizontal_flip(*, p: float = 0.5) -> Step:
    """Mirror left and right with probability `p`."""
    return Step(partial(_flip, -1, p), random=True)


@steps.register
def vertical_flip(*, p: float = 0.5) -> Step:
    """Mirror top and bottom with probability `p`."""
    return Step(partial(_flip, -2, p), random=True)


def _flip(dimension: int, p: float, image: Tensor) -> Tensor:
    return image.flip(dimension) if float(torch.rand(1)) < p else image


@steps.register
def rotation(
    *, degrees: float = 15.0, interpolation: Literal["nearest", "bilinear"] = "bilinear", fill: int = 0
) -> Step:
    """Turn by a random angle in [-degrees, degrees] around the middle."""
    from torchvision.transforms import v2

    return Step(v2.RandomRotation(degrees, interpolation=_mode(interpolation), fill=fill), random=True)


@steps.register
def color_jitter(*, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.0) -> Step:
    """Change each by a random factor in [1 - x, 1 + x], hue by a share of the circle, in random order."""
    from torchvision.transforms import v2

    return Step(v2.ColorJitter(brightness, contrast, saturation, hue), random=True)


@steps.register
def rand_augment(*, num_ops: int = 2, magnitude: int = 9) -> Step:
    """`num_ops` random changes of strength `magnitude` of 31 (Cubuk et al., RandAugment, 2020)."""
    from torchvision.transforms import v2

    return Step(v2.RandAugment(num_ops=num_ops, magnitude=magnitude), random=True)


@steps.register
def random_erasing(
    *, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3), fill: int = 0
) -> Step:
    """Paint a random rectangle over with the grey level `fill` (Zhong et al., Random Erasing, 2020)."""
    from torchvision.transforms import v2

    return Step(v2.RandomErasing(p, scale=tuple(scale), ratio=tuple(ratio), value=fill), random=True)


def _size(size: int | Sequence[int]) -> list[int]:
    return [size] if isinstance(size, int) else list(size)


def _mode(name: str) -> Any:
    from torchvision.transforms import InterpolationMode

    return InterpolationMode(name)
