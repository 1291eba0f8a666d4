"""Image transforms that paint over a part of each image.

Invariant: pixels outside the part are kept; the part is drawn for each image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ptrun.registry import image_transforms
from ptrun.rng import Integers, SampleRng
from ptrun.transforms.geometry import rectangles, require_ranges
from ptrun.transforms.transform import BatchTransform, beside


@image_transforms.register
def random_erasing(
    *, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3), fill: int = 0
) -> BatchTransform:
    """Paint a random rectangle over with the grey level `fill` (Zhong et al., Random Erasing, 2020)."""
    require_ranges(scale, ratio)
    return BatchTransform(partial(_random_erasing, p, tuple(scale), tuple(ratio), fill))


def _random_erasing(
    p: float, scale: Sequence[float], ratio: Sequence[float], fill: int, images: Tensor, draws: SampleRng
) -> Tensor:
    chosen = draws.chance(p)
    boxes = rectangles(draws, images.shape[-2], images.shape[-1], scale, ratio) * chosen[:, None]
    top, left, height, width = boxes.T
    return torch.where(inside(images, top, top + height, left, left + width), fill, images).to(torch.uint8)


@image_transforms.register
def cutout(*, size: int = 8, fill: int = 0, p: float = 1.0) -> BatchTransform:
    """Paint a square of `size` pixels over; its middle is anywhere, so that it may reach over the edge (DeVries and Taylor, Cutout, 2017)."""
    if size < 1:
        raise ValueError("size is at least 1")
    return BatchTransform(partial(_cutout, size, fill, p))


def _cutout(size: int, fill: int, p: float, images: Tensor, draws: SampleRng) -> Tensor:
    chosen = draws.chance(p)
    top = draws.integers(0, images.shape[-2] - 1) - size // 2
    left = draws.integers(0, images.shape[-1] - 1) - size // 2
    edge = size * chosen
    return torch.where(inside(images, top, top + edge, left, left + edge), fill, images).to(torch.uint8)


def inside(images: Tensor, top: Integers, bottom: Integers, left: Integers, right: Integers) -> Tensor:
    """Whether each pixel is in the box of its image, [N, 1, H, W]; `bottom` and `right` are just outside."""
    edges = [beside(each, images).view(-1, 1, 1) for each in (top, bottom, left, right)]
    rows = torch.arange(images.shape[-2], device=images.device).view(-1, 1)
    columns = torch.arange(images.shape[-1], device=images.device)
    in_rows, in_columns = (rows >= edges[0]) & (rows < edges[1]), (columns >= edges[2]) & (columns < edges[3])
    return (in_rows & in_columns).unsqueeze(1)
