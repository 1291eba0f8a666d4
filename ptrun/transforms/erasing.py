"""Image transforms that paint over a random part of each image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ptrun.registry import image_transforms
from ptrun.rng import Integers, SampleRng
from ptrun.transforms.geometry import random_boxes, require_ranges
from ptrun.transforms.transform import BatchTransform, to_device


@image_transforms.register
def random_erasing(
    *, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3), fill: int = 0
) -> BatchTransform:
    """Paint a random rectangle in the gray level `fill` (Zhong et al., Random Erasing, 2020).

    Raises ValueError when a range is not two positive numbers, the smaller first.
    """
    require_ranges(scale, ratio)
    return BatchTransform(partial(_random_erasing, p, tuple(scale), tuple(ratio), fill))


def _random_erasing(
    p: float, scale: Sequence[float], ratio: Sequence[float], fill: int, images: Tensor, rng: SampleRng
) -> Tensor:
    """Erase a random box of each image with probability p."""
    is_erased = rng.chance(p)
    boxes = random_boxes(rng, images.shape[-2], images.shape[-1], scale, ratio) * is_erased[:, None]
    top, left, height, width = boxes.T
    return torch.where(box_mask(images, top, top + height, left, left + width), fill, images).to(torch.uint8)


@image_transforms.register
def cutout(*, size: int = 8, fill: int = 0, p: float = 1.0) -> BatchTransform:
    """Paint a square of `size` pixels around a random center; it may reach over the edge (DeVries and Taylor, 2017).

    Raises ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError("size is at least 1")
    return BatchTransform(partial(_cutout, size, fill, p))


def _cutout(size: int, fill: int, p: float, images: Tensor, rng: SampleRng) -> Tensor:
    """Erase a random box of each image with probability p."""
    is_erased = rng.chance(p)
    top = rng.integers(0, images.shape[-2] - 1) - size // 2
    left = rng.integers(0, images.shape[-1] - 1) - size // 2
    side = size * is_erased
    return torch.where(box_mask(images, top, top + side, left, left + side), fill, images).to(torch.uint8)


def box_mask(images: Tensor, top: Integers, bottom: Integers, left: Integers, right: Integers) -> Tensor:
    """Whether each pixel is in the box of its image, bool [N, 1, H, W]; `bottom` and `right` are exclusive."""
    top_, bottom_, left_, right_ = (
        to_device(edge, images.device).view(-1, 1, 1) for edge in (top, bottom, left, right)
    )
    rows = torch.arange(images.shape[-2], device=images.device).view(-1, 1)
    columns = torch.arange(images.shape[-1], device=images.device)
    in_rows, in_columns = (rows >= top_) & (rows < bottom_), (columns >= left_) & (columns < right_)
    return (in_rows & in_columns).unsqueeze(1)
