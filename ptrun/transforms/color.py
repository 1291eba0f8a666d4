"""Image transforms that change colors: normalization, grayscale, and random brightness, contrast, saturation and hue.

Luma is ITU-R BT.601 in whole numbers, as Pillow computes it. Means over pixels are taken from sums of whole numbers,
which are exact, so that the result for an image does not depend on the batch it is in.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ptrun.registry import image_transforms
from ptrun.rng import Floats, SampleRng
from ptrun.transforms.transform import BatchTransform, Normalize, Statistic, Transform, as_uint8, per_image


@image_transforms.register
def normalize(*, mean: Statistic = "computed", std: Statistic = "computed") -> Normalize:
    """Subtract the mean and divide by the standard deviation of each channel, both in units of [0, 1]."""
    return Normalize(mean, std)


@image_transforms.register
def grayscale(*, channels: int = 1) -> Transform:
    """Luma (ITU-R BT.601), as one channel or three equal ones; images of one channel are copied."""
    from torchvision.transforms import v2

    return Transform(v2.Grayscale(channels))


@image_transforms.register
def color_jitter(
    *, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.0
) -> BatchTransform:
    """Change brightness, contrast and saturation, in this order, by random factors in [1 - x, 1 + x], then the hue.

    hue: largest shift of the hue, as a share of the color circle.
    Raises ValueError for values out of range.
    """
    if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
        raise ValueError("brightness, contrast and saturation are at least 0, hue in [0, 0.5]")
    return BatchTransform(partial(_color_jitter, (brightness, contrast, saturation), hue))


def _color_jitter(spreads: tuple[float, float, float], hue: float, images: Tensor, rng: SampleRng) -> Tensor:
    for spread, adjust in zip(spreads, (adjust_brightness, adjust_contrast, adjust_saturation), strict=True):
        factors = rng.uniform(max(0.0, 1 - spread), 1 + spread)
        images = adjust(images, factors) if spread else images
    return adjust_hue(images, rng.uniform(-hue, hue)) if hue else images


def adjust_brightness(images: Tensor, factors: Floats) -> Tensor:
    """Multiply the pixels of each image by its factor."""
    return as_uint8(images * per_image(factors, images))


def adjust_contrast(images: Tensor, factors: Floats) -> Tensor:
    """Multiply the distance of each pixel from the image's mean luma by the image's factor."""
    mean = luma(images).sum((1, 2, 3), keepdim=True).double() / images[0, 0].numel()
    return _blend(images, mean.float(), factors)


def adjust_saturation(images: Tensor, factors: Floats) -> Tensor:
    """Multiply the distance of each pixel from its luma by the image's factor; images of one channel are kept."""
    return images if images.shape[1] == 1 else _blend(images, luma(images).float(), factors)


def adjust_hue(images: Tensor, shifts: Floats) -> Tensor:
    """Shift the hues of each image by a share of the color circle; value and saturation are kept (Smith, 1978: HSV)."""
    if images.shape[1] == 1:
        return images
    value, lowest = images.amax(1, keepdim=True).float(), images.amin(1, keepdim=True).float()
    red, green, blue = torch.split(images.float(), 1, dim=1)
    chroma = value - lowest
    divisor = chroma.clamp(min=1)
    sextants = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sextants = sextants + per_image(np.asarray(shifts) * 6, images)
    channels = []
    for offset in (5, 3, 1):  # red, green, blue: value - chroma * clamp(min(k, 4 - k), 0, 1), k = (offset + hue) mod 6
        k = (sextants + offset).remainder(6)
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return as_uint8(torch.cat(channels, dim=1))


def luma(images: Tensor) -> Tensor:
    """Luma of images [N, 1 or 3, H, W] as int32 [N, 1, H, W]. Raises ValueError for other numbers of channels."""
    if images.shape[1] == 1:
        return images.int()
    if images.shape[1] != 3:
        raise ValueError(f"colors need images of 1 or 3 channels, not {images.shape[1]}")
    red, green, blue = images.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16).unsqueeze(1)


def _blend(images: Tensor, other: Tensor, factors: Floats) -> Tensor:
    weights = per_image(factors, images)
    return as_uint8(images * weights + other * (1 - weights))
