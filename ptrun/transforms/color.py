"""Image transforms that change colors: normalization, gray, and random brightness, contrast, saturation and hue.

Invariant: luma is that of ITU-R BT.601 in whole numbers, as Pillow computes it; sums over pixels are of whole numbers,
so that the result for an image does not depend on the batch it is in.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ptrun.registry import image_transforms
from ptrun.rng import Floats, SampleRng
from ptrun.transforms.transform import BatchTransform, Normalize, Statistic, Transform, as_uint8, column


@image_transforms.register
def normalize(*, mean: Statistic = "computed", std: Statistic = "computed") -> Normalize:
    """Statistics in units of [0, 1]; applied to whole batches on the device."""
    return Normalize(mean, std)


@image_transforms.register
def grayscale(*, channels: int = 1) -> Transform:
    """Luma of the colours (ITU-R BT.601), as one channel or three equal ones; grey images are copied."""
    from torchvision.transforms import v2

    return Transform(v2.Grayscale(channels))


@image_transforms.register
def color_jitter(
    *, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.0
) -> BatchTransform:
    """Change brightness, contrast and saturation, in this order, by a random factor in [1 - x, 1 + x], then hue by a share of the circle."""
    if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
        raise ValueError("brightness, contrast and saturation are at least 0, hue in [0, 0.5]")
    return BatchTransform(partial(_color_jitter, (brightness, contrast, saturation), hue))


def _color_jitter(spreads: tuple[float, float, float], hue: float, images: Tensor, draws: SampleRng) -> Tensor:
    for spread, change in zip(spreads, (brighter, contrasted, coloured), strict=True):
        factors = draws.uniform(max(0.0, 1 - spread), 1 + spread)
        images = change(images, factors) if spread else images
    return hue_turned(images, draws.uniform(-hue, hue)) if hue else images


def luma(images: Tensor) -> Tensor:
    """Grey levels of images [N, 1 or 3, H, W] as int32 [N, 1, H, W]."""
    if images.shape[1] == 1:
        return images.int()
    if images.shape[1] != 3:
        raise ValueError(f"colours need images of 1 or 3 channels, not {images.shape[1]}")
    red, green, blue = images.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16).unsqueeze(1)


def brighter(images: Tensor, factors: Floats) -> Tensor:
    """Grey levels times a factor an image."""
    return as_uint8(images * column(factors, images))


def contrasted(images: Tensor, factors: Floats) -> Tensor:
    """Distances from the mean luma times a factor an image."""
    mean = luma(images).sum((1, 2, 3), keepdim=True).double() / images[0, 0].numel()
    return _blended(images, mean.float(), factors)


def coloured(images: Tensor, factors: Floats) -> Tensor:
    """Distances from grey times a factor an image; grey images stay as they are."""
    return images if images.shape[1] == 1 else _blended(images, luma(images).float(), factors)


def _blended(images: Tensor, other: Tensor, factors: Floats) -> Tensor:
    share = column(factors, images)
    return as_uint8(images * share + other * (1 - share))


def hue_turned(images: Tensor, shares: Floats) -> Tensor:
    """Hues turned by a share of the colour circle an image, lightness and saturation kept (Smith, 1978: HSV)."""
    if images.shape[1] == 1:
        return images
    value, least = images.amax(1, keepdim=True).float(), images.amin(1, keepdim=True).float()
    red, green, blue = torch.split(images.float(), 1, dim=1)
    spread = value - least
    divisor = spread.clamp(min=1)
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sixths = sixths + column(np.asarray(shares) * 6, images)
    channels = []
    for offset in (5, 3, 1):  # red, green, blue: value - spread * clamp(min(k, 4 - k), 0, 1), k = (offset + hue) mod 6
        k = (sixths + offset).remainder(6)
        channels.append(value - spread * torch.minimum(k, 4 - k).clamp(0, 1))
    return as_uint8(torch.cat(channels, dim=1))
