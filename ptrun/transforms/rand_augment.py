"""RandAugment: a few random changes of each image, all images that drew the same change treated together.

Invariant: an image's changes are those of its own draws; the ranges are torchvision's, which are those of the paper's code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ptrun.registry import image_transforms
from ptrun.rng import Floats, SampleRng
from ptrun.transforms.color import brighter, coloured, contrasted
from ptrun.transforms.geometry import turned, warp
from ptrun.transforms.transform import BatchTransform, as_uint8, beside, column

GREATEST = 30  # magnitude, of 31 strengths from 0
Change = Callable[[Tensor, Floats], Tensor]  # images and one signed strength in [-1, 1] each


@image_transforms.register
def rand_augment(*, num_ops: int = 2, magnitude: int = 9) -> BatchTransform:
    """`num_ops` random changes of strength `magnitude` of 31 (Cubuk et al., RandAugment, 2020)."""
    if num_ops < 0 or not 0 <= magnitude <= GREATEST:
        raise ValueError(f"num_ops is at least 0, magnitude a whole number from 0 to {GREATEST}")
    return BatchTransform(partial(_rand_augment, num_ops, magnitude / GREATEST))


def _rand_augment(num_ops: int, strength: float, images: Tensor, draws: SampleRng) -> Tensor:
    images = images.clone()
    names = list(CHANGES)
    for _ in range(num_ops):
        chosen = draws.integers(0, len(names) - 1)
        signs = np.where(draws.chance(0.5), -strength, strength)
        for position in np.unique(chosen):
            rows = np.flatnonzero(chosen == position)
            at = beside(rows, images)
            images[at] = CHANGES[names[position]](images[at], signs[rows])
    return images


def _identity(images: Tensor, strength: Floats) -> Tensor:
    return images


def _moved(entry: tuple[int, int], reach: float, images: Tensor, strength: Floats) -> Tensor:
    """Shear or shift by one entry of the matrix of `warp`; torchvision's shears leave the top left corner in place."""
    matrices = np.tile(np.eye(2, 3), (len(images), 1, 1))
    height, width = images.shape[-2:]
    row, column_of_matrix = entry
    if column_of_matrix == 2:
        matrices[:, row, 2] = -np.trunc(strength * reach * (width, height)[row])
    else:
        matrices[:, row, column_of_matrix] = strength * reach
        matrices[:, row, 2] = strength * reach * (width, height)[column_of_matrix] / 2
    return warp(images, matrices, "nearest")


def _rotated(images: Tensor, strength: Floats) -> Tensor:
    return warp(images, turned(30.0 * strength), "nearest")


def _factor(change: Change, images: Tensor, strength: Floats) -> Tensor:
    return change(images, 1 + 0.9 * strength)


def sharpened(images: Tensor, factors: Floats) -> Tensor:
    """Distances from the image smoothed by a 3 x 3 filter with weight 5 in the middle, times a factor; the border stays."""
    height, width = images.shape[-2:]
    if min(height, width) <= 2:
        return images
    pixels = images.float()
    total = 4 * pixels[..., 1:-1, 1:-1]
    for row in range(3):
        for left in range(3):
            total = total + pixels[..., row : row + height - 2, left : left + width - 2]
    smooth, share = (total / 13).round(), column(factors, images)
    pixels[..., 1:-1, 1:-1] = pixels[..., 1:-1, 1:-1] * share + smooth * (1 - share)
    return as_uint8(pixels)


def _posterized(images: Tensor, strength: Floats) -> Tensor:
    bits = round(8 - 4 * abs(float(strength[0])))  # of one strength for all images
    return images & (0xFF << (8 - bits) & 0xFF)


def _solarized(images: Tensor, strength: Floats) -> Tensor:
    return torch.where(images >= math.ceil(255 * (1 - abs(float(strength[0])))), 255 - images, images)


def _stretched(images: Tensor, strength: Floats) -> Tensor:
    from torchvision.transforms.v2 import functional

    stretched: Tensor = functional.autocontrast(images)
    return stretched


def _equalized(images: Tensor, strength: Floats) -> Tensor:
    from torchvision.transforms.v2 import functional

    equalized: Tensor = functional.equalize(images)
    return equalized


CHANGES: Mapping[str, Change] = {
    "identity": _identity,
    "shear_x": partial(_moved, (0, 1), 0.3),
    "shear_y": partial(_moved, (1, 0), 0.3),
    "translate_x": partial(_moved, (0, 2), 150 / 331),
    "translate_y": partial(_moved, (1, 2), 150 / 331),
    "rotate": _rotated,
    "brightness": partial(_factor, brighter),
    "color": partial(_factor, coloured),
    "contrast": partial(_factor, contrasted),
    "sharpness": partial(_factor, sharpened),
    "posterize": _posterized,
    "solarize": _solarized,
    "auto_contrast": _stretched,
    "equalize": _equalized,
}
