"""Image transforms that move pixels: sizes, crops, mirroring, rotation.

Invariant: crops and mirroring copy pixels and never change one; where a random one looks is drawn for each image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ptrun.registry import image_transforms
from ptrun.rng import Floats, Integers, SampleRng
from ptrun.transforms.transform import BatchTransform, Transform, as_uint8, beside, column

Interpolation = Literal["nearest", "bilinear", "bicubic"]
TRIES = 10  # rectangles that are drawn for an image; the first that fits is taken, as torchvision does one by one


@image_transforms.register
def resize(*, size: int | Sequence[int], interpolation: Interpolation = "bilinear") -> Transform:
    """Scale the shorter side to `size`, or to [height, width]; antialiased."""
    from torchvision.transforms.v2 import functional

    both = not isinstance(size, int) and len(size) == 2
    change = partial(functional.resize, size=_size(size), interpolation=_mode(interpolation), antialias=True)
    return Transform(change, sizes=both, scales_to=tuple(_size(size)) if interpolation == "bilinear" else ())


@image_transforms.register
def center_crop(*, size: int | Sequence[int]) -> Transform:
    """Cut out the middle; smaller images are padded with black."""
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional

    checked = v2.CenterCrop(size).size
    return Transform(partial(functional.center_crop, output_size=list(checked)), sizes=True)


@image_transforms.register
def pad(*, padding: int | Sequence[int], fill: int = 0) -> Transform:
    """Add a border: one number, [left and right, top and bottom], or [left, top, right, bottom]."""
    from torchvision.transforms import v2

    return Transform(v2.Pad(padding, fill=fill))


@image_transforms.register
def random_crop(
    *,
    size: int | Sequence[int] | None = None,
    padding: int = 0,
    padding_mode: Literal["constant", "reflect", "edge"] = "constant",
) -> BatchTransform:
    """Cut out `size` (None: the image's own) at a random place after padding (He et al., 2016, section 4.2)."""
    return BatchTransform(partial(_random_crop, size, padding, padding_mode), sizes=size is not None)


def _random_crop(
    size: int | Sequence[int] | None, padding: int, padding_mode: str, images: Tensor, draws: SampleRng
) -> Tensor:
    own = tuple(images.shape[-2:])
    height, width = own if size is None else (size, size) if isinstance(size, int) else size
    padded = _padded(images, padding, padding_mode) if padding else images
    spare_rows, spare_columns = padded.shape[-2] - height, padded.shape[-1] - width
    if min(spare_rows, spare_columns) < 0:
        raise ValueError(f"a crop of {height} x {width} is larger than {padded.shape[-2]} x {padded.shape[-1]}")
    return _cut(padded, draws.integers(0, spare_rows), draws.integers(0, spare_columns), height, width)


def _padded(images: Tensor, padding: int, mode: str) -> Tensor:
    if mode == "constant":
        return F.pad(images, [padding] * 4)
    from torchvision.transforms.v2 import functional

    padded: Tensor = functional.pad(images, [padding] * 4, padding_mode=mode)
    return padded


def _cut(images: Tensor, tops: Integers, lefts: Integers, height: int, width: int) -> Tensor:
    """Cut a window of equal size out of each image [N, C, H, W]; NumPy's copy takes a fifth of torch's time on a CPU."""
    if images.device.type == "cpu":
        views = np.lib.stride_tricks.sliding_window_view(images.numpy(), (height, width), axis=(2, 3))
        return torch.from_numpy(views[np.arange(len(images)), :, tops, lefts])
    at = [beside(values, images) for values in (tops, lefts)]
    windows = images.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(len(images), device=images.device), :, at[0], at[1]]


@image_transforms.register
def random_resized_crop(
    *,
    size: int | Sequence[int],
    scale: Sequence[float] = (0.08, 1.0),
    ratio: Sequence[float] = (0.75, 1.3333),
    interpolation: Interpolation = "bilinear",
) -> BatchTransform:
    """Cut out a random share of the area at a random aspect and scale it to `size` (Szegedy et al., 2015)."""
    require_ranges(scale, ratio)
    square = [size, size] if isinstance(size, int) else list(size)
    return BatchTransform(
        partial(_random_resized_crop, square, tuple(scale), tuple(ratio), _mode(interpolation)), sizes=True
    )


def _random_resized_crop(
    size: list[int],
    scale: Sequence[float],
    ratio: Sequence[float],
    interpolation: Any,
    images: Tensor,
    draws: SampleRng,
) -> Tensor:
    from torchvision.transforms.v2 import functional

    boxes = rectangles(draws, images.shape[-2], images.shape[-1], scale, ratio)
    whole = _middle(images.shape[-2], images.shape[-1], ratio)
    crops = [
        functional.resized_crop(image, *(box if box[2] else whole), size, interpolation=interpolation, antialias=True)
        for image, box in zip(images, boxes.tolist(), strict=True)
    ]
    return torch.stack(crops)


def _middle(height: int, width: int, ratio: Sequence[float]) -> list[int]:
    """The largest box (top, left, height, width) in the middle whose aspect is allowed."""
    aspect = min(max(width / height, ratio[0]), ratio[1])
    box_height, box_width = min(height, round(width / aspect)), min(width, round(height * aspect))
    return [(height - box_height) // 2, (width - box_width) // 2, box_height, box_width]


def require_ranges(*ranges: Sequence[float]) -> None:
    """Raise ValueError for what is no pair of positive numbers, the smaller first."""
    if any(len(each) != 2 or not 0 < each[0] <= each[1] for each in ranges):
        raise ValueError("scale and ratio each need two positive numbers, the smaller first")


def rectangles(draws: SampleRng, height: int, width: int, scale: Sequence[float], ratio: Sequence[float]) -> Integers:
    """A random box (top, left, height, width) for each sample, [N, 4], of a share `scale` of the area; zeros where none of TRIES fits."""
    area = draws.uniforms(TRIES, scale[0], scale[1]) * height * width
    aspect = np.exp(draws.uniforms(TRIES, np.log(ratio[0]), np.log(ratio[1])))
    heights, widths = np.rint(np.sqrt(area / aspect)), np.rint(np.sqrt(area * aspect))
    fits: NDArray[np.bool_] = (heights > 0) & (widths > 0) & (heights <= height) & (widths <= width)
    rows, first = np.arange(len(draws)), fits.argmax(axis=1)
    box_height, box_width = heights[rows, first].astype(np.int64), widths[rows, first].astype(np.int64)
    boxes: Integers = np.stack(
        [
            draws.integers(0, np.maximum(height - box_height, 0)),
            draws.integers(0, np.maximum(width - box_width, 0)),
            box_height,
            box_width,
        ],
        axis=1,
    )
    boxes[~fits.any(axis=1)] = 0
    return boxes


@image_transforms.register
def horizontal_flip(*, p: float = 0.5) -> BatchTransform:
    """Mirror left and right with probability `p`."""
    return BatchTransform(partial(_flip, 3, p))


@image_transforms.register
def vertical_flip(*, p: float = 0.5) -> BatchTransform:
    """Mirror top and bottom with probability `p`."""
    return BatchTransform(partial(_flip, 2, p))


def _flip(dimension: int, p: float, images: Tensor, draws: SampleRng) -> Tensor:
    chosen = np.flatnonzero(draws.chance(p))
    flipped = images.clone()
    if images.device.type == "cpu":  # NumPy mirrors in a third of torch's time
        pixels = flipped.numpy()
        pixels[chosen] = np.flip(pixels[chosen], dimension)
        return flipped
    rows = beside(chosen, images)
    flipped[rows] = images[rows].flip(dimension)
    return flipped


@image_transforms.register
def rotation(
    *, degrees: float = 15.0, interpolation: Literal["nearest", "bilinear"] = "bilinear", fill: int = 0
) -> BatchTransform:
    """Turn by a random angle in [-degrees, degrees] around the middle."""
    return BatchTransform(partial(_rotation, degrees, interpolation, fill))


def _rotation(degrees: float, interpolation: str, fill: int, images: Tensor, draws: SampleRng) -> Tensor:
    return warp(images, turned(draws.uniform(-degrees, degrees)), interpolation, fill)


def turned(degrees: Floats) -> Floats:
    """Matrices [N, 2, 3] for `warp` that turn counter-clockwise around the middle."""
    cos, sin, zero = np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), np.zeros(len(degrees))
    return np.stack([np.stack([cos, -sin, zero], 1), np.stack([sin, cos, zero], 1)], 1)


def warp(images: Tensor, matrices: Floats, interpolation: str, fill: int = 0) -> Tensor:
    """Fetch each pixel (x, y), counted from the middle, from matrices[i] @ (x, y, 1) of image i; `fill` from outside."""
    height, width = images.shape[-2:]
    a, b, c, d, e, f = (column(values, images)[..., 0] for values in matrices.reshape(-1, 6).T)  # each [N, 1, 1]
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = (torch.arange(height, device=images.device) - (height - 1) / 2).view(-1, 1)
    grid = torch.stack([(a * x + b * y + c) * (2 / width), (d * x + e * y + f) * (2 / height)], dim=-1)
    pixels = images.float() - fill
    return as_uint8(F.grid_sample(pixels, grid, interpolation, "zeros", align_corners=False) + fill)


def _size(size: int | Sequence[int]) -> list[int]:
    return [size] if isinstance(size, int) else list(size)


def _mode(name: str) -> Any:
    from torchvision.transforms import InterpolationMode

    return InterpolationMode(name)
