"""RandAugment: a few random operations on each image. Images for which the same operation was drawn are done together.

The operations and the ranges of their strengths are those of torchvision, which are those of the paper's code.
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
from ptrun.transforms.color import adjust_brightness, adjust_contrast, adjust_saturation
from ptrun.transforms.geometry import affine_warp, rotation_matrices
from ptrun.transforms.transform import BatchTransform, as_uint8, per_image, to_device

MAX_MAGNITUDE = 30  # the largest of 31 strengths
Operation = Callable[[Tensor, Floats], Tensor]  # images, and for each image one strength in [-1, 1]


@image_transforms.register
def rand_augment(*, num_ops: int = 2, magnitude: int = 9) -> BatchTransform:
    """Apply `num_ops` random operations of strength `magnitude` of 30 (Cubuk et al., RandAugment, 2020).

    Raises ValueError for values out of range.
    """
    if num_ops < 0 or not 0 <= magnitude <= MAX_MAGNITUDE:
        raise ValueError(f"num_ops is at least 0, magnitude a whole number from 0 to {MAX_MAGNITUDE}")
    return BatchTransform(partial(_rand_augment, num_ops, magnitude / MAX_MAGNITUDE))


def _rand_augment(num_ops: int, strength: float, images: Tensor, rng: SampleRng) -> Tensor:
    images = images.clone()
    operations = list(OPERATIONS.values())
    for _ in range(num_ops):
        chosen = rng.integers(0, len(operations) - 1)
        strengths = np.where(rng.chance(0.5), -strength, strength)
        for position in np.unique(chosen):
            rows = np.flatnonzero(chosen == position)
            indices = to_device(rows, images.device)
            images[indices] = operations[position](images[indices], strengths[rows])
    return images


def _identity(images: Tensor, strengths: Floats) -> Tensor:
    return images


def _shear_or_translate(entry: tuple[int, int], reach: float, images: Tensor, strengths: Floats) -> Tensor:
    """Warp by one entry (row, column) of the affine matrix; column 2 translates, the others shear.

    reach: the largest shear, or the largest translation as a share of the side. As in torchvision, shears leave the top
    left corner in place, and translations are whole pixels.
    """
    matrices = np.tile(np.eye(2, 3), (len(images), 1, 1))
    height, width = images.shape[-2:]
    row, column = entry
    if column == 2:
        matrices[:, row, 2] = -np.trunc(strengths * reach * (width, height)[row])
    else:
        matrices[:, row, column] = strengths * reach
        matrices[:, row, 2] = strengths * reach * (width, height)[column] / 2
    return affine_warp(images, matrices, "nearest")


def _rotate(images: Tensor, strengths: Floats) -> Tensor:
    return affine_warp(images, rotation_matrices(30.0 * strengths), "nearest")


def _adjust(operation: Operation, images: Tensor, strengths: Floats) -> Tensor:
    """Apply an operation that takes factors around 1."""
    return operation(images, 1 + 0.9 * strengths)


def adjust_sharpness(images: Tensor, factors: Floats) -> Tensor:
    """Multiply the distance of each image from its smoothed version by its factor; pixels of the border stay.

    The smoothing is a 3 x 3 mean in which the center counts five times.
    """
    height, width = images.shape[-2:]
    if min(height, width) <= 2:
        return images
    pixels = images.float()
    total = 4 * pixels[..., 1:-1, 1:-1]
    for top in range(3):
        for left in range(3):
            total = total + pixels[..., top : top + height - 2, left : left + width - 2]
    smooth, weights = (total / 13).round(), per_image(factors, images)
    pixels[..., 1:-1, 1:-1] = pixels[..., 1:-1, 1:-1] * weights + smooth * (1 - weights)
    return as_uint8(pixels)


def _posterize(images: Tensor, strengths: Floats) -> Tensor:
    bits = round(8 - 4 * abs(float(strengths[0])))  # the strengths differ in their sign only
    return images & (0xFF << (8 - bits) & 0xFF)


def _solarize(images: Tensor, strengths: Floats) -> Tensor:
    threshold = math.ceil(255 * (1 - abs(float(strengths[0]))))  # the strengths differ in their sign only
    return torch.where(images >= threshold, 255 - images, images)


def _auto_contrast(images: Tensor, strengths: Floats) -> Tensor:
    from torchvision.transforms.v2 import functional

    result: Tensor = functional.autocontrast(images)
    return result


def _equalize(images: Tensor, strengths: Floats) -> Tensor:
    from torchvision.transforms.v2 import functional

    result: Tensor = functional.equalize(images)
    return result


# The random numbers choose by position: another order would change the augmentation of every image.
OPERATIONS: Mapping[str, Operation] = {
    "identity": _identity,
    "shear_x": partial(_shear_or_translate, (0, 1), 0.3),
    "shear_y": partial(_shear_or_translate, (1, 0), 0.3),
    "translate_x": partial(_shear_or_translate, (0, 2), 150 / 331),
    "translate_y": partial(_shear_or_translate, (1, 2), 150 / 331),
    "rotate": _rotate,
    "brightness": partial(_adjust, adjust_brightness),
    "color": partial(_adjust, adjust_saturation),
    "contrast": partial(_adjust, adjust_contrast),
    "sharpness": partial(_adjust, adjust_sharpness),
    "posterize": _posterize,
    "solarize": _solarize,
    "auto_contrast": _auto_contrast,
    "equalize": _equalize,
}
