"""Image transforms that move pixels: resizing, crops, padding, flips, rotation."""

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
from ptrun.transforms.transform import BatchTransform, Transform, as_uint8, per_image, to_device

Interpolation = Literal["nearest", "bilinear", "bicubic"]
MAX_TRIES = 10  # boxes drawn for an image, of which the first that fits is used; torchvision draws as many, one by one


@image_transforms.register
def resize(*, size: int | Sequence[int], interpolation: Interpolation = "bilinear") -> Transform:
    """Scale the shorter side to `size`, or both sides to [height, width]; antialiased."""
    from torchvision.transforms.v2 import functional

    sizes = _as_list(size)
    apply = partial(functional.resize, size=sizes, interpolation=_mode(interpolation), antialias=True)
    return Transform(
        apply, gives_one_size=len(sizes) == 2, scales_to=tuple(sizes) if interpolation == "bilinear" else ()
    )


@image_transforms.register
def center_crop(*, size: int | Sequence[int]) -> Transform:
    """Cut out the center; smaller images are padded with black."""
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional

    height_width = list(v2.CenterCrop(size).size)
    return Transform(partial(functional.center_crop, output_size=height_width), gives_one_size=True)


@image_transforms.register
def pad(*, padding: int | Sequence[int], fill: int = 0) -> Transform:
    """Add a border: one width, [left and right, top and bottom], or [left, top, right, bottom]."""
    from torchvision.transforms import v2

    return Transform(v2.Pad(padding, fill=fill))


@image_transforms.register
def random_crop(
    *,
    size: int | Sequence[int] | None = None,
    padding: int = 0,
    padding_mode: Literal["constant", "reflect", "edge"] = "constant",
) -> BatchTransform:
    """Cut out `size` (None: the size of the image) at a random place after padding (He et al., 2016, section 4.2)."""
    return BatchTransform(partial(_random_crop, size, padding, padding_mode), gives_one_size=size is not None)


def _random_crop(
    size: int | Sequence[int] | None, padding: int, padding_mode: str, images: Tensor, rng: SampleRng
) -> Tensor:
    image_size = tuple(images.shape[-2:])
    height, width = image_size if size is None else (size, size) if isinstance(size, int) else size
    padded = _pad(images, padding, padding_mode) if padding else images
    spare_rows, spare_columns = padded.shape[-2] - height, padded.shape[-1] - width
    if min(spare_rows, spare_columns) < 0:
        raise ValueError(f"a crop of {height} x {width} is larger than {padded.shape[-2]} x {padded.shape[-1]}")
    return _crop(padded, rng.integers(0, spare_rows), rng.integers(0, spare_columns), height, width)


def _pad(images: Tensor, padding: int, mode: str) -> Tensor:
    if mode == "constant":
        return F.pad(images, [padding] * 4)
    from torchvision.transforms.v2 import functional

    padded: Tensor = functional.pad(images, [padding] * 4, padding_mode=mode)
    return padded


def _crop(images: Tensor, tops: Integers, lefts: Integers, height: int, width: int) -> Tensor:
    """Cut a window of one size, at its own place, out of each image [N, C, H, W].

    One indexed gather over a view of all windows instead of a loop over images. On a CPU NumPy's gather takes a fifth
    of the time of torch's.
    """
    if images.device.type == "cpu":
        windows = np.lib.stride_tricks.sliding_window_view(images.numpy(), (height, width), axis=(2, 3))
        return torch.from_numpy(windows[np.arange(len(images)), :, tops, lefts])
    rows, columns = (to_device(offsets, images.device) for offsets in (tops, lefts))
    views = images.unfold(2, height, 1).unfold(3, width, 1)
    return views[torch.arange(len(images), device=images.device), :, rows, columns]


@image_transforms.register
def random_resized_crop(
    *,
    size: int | Sequence[int],
    scale: Sequence[float] = (0.08, 1.0),
    ratio: Sequence[float] = (0.75, 1.3333),
    interpolation: Interpolation = "bilinear",
) -> BatchTransform:
    """Cut out a random share of the area with a random aspect ratio and resize it to `size` (Szegedy et al., 2015).

    Raises ValueError when a range is not two positive numbers, the smaller first.
    """
    require_ranges(scale, ratio)
    height_width = [size, size] if isinstance(size, int) else list(size)
    return BatchTransform(
        partial(_random_resized_crop, height_width, tuple(scale), tuple(ratio), _mode(interpolation)),
        gives_one_size=True,
    )


def _random_resized_crop(
    size: list[int], scale: Sequence[float], ratio: Sequence[float], interpolation: Any, images: Tensor, rng: SampleRng
) -> Tensor:
    from torchvision.transforms.v2 import functional

    boxes = random_boxes(rng, images.shape[-2], images.shape[-1], scale, ratio)
    fallback = _largest_center_box(images.shape[-2], images.shape[-1], ratio)
    crops = [
        functional.resized_crop(
            image, *(box if box[2] else fallback), size, interpolation=interpolation, antialias=True
        )
        for image, box in zip(images, boxes.tolist(), strict=True)
    ]
    return torch.stack(crops)


def _largest_center_box(height: int, width: int, ratio: Sequence[float]) -> list[int]:
    """The largest box (top, left, height, width) around the center whose aspect ratio is allowed."""
    aspect = min(max(width / height, ratio[0]), ratio[1])
    box_height, box_width = min(height, round(width / aspect)), min(width, round(height * aspect))
    return [(height - box_height) // 2, (width - box_width) // 2, box_height, box_width]


def require_ranges(*ranges: Sequence[float]) -> None:
    """Raise ValueError for a range that is not two positive numbers, the smaller first."""
    if any(len(limits) != 2 or not 0 < limits[0] <= limits[1] for limits in ranges):
        raise ValueError("scale and ratio each need two positive numbers, the smaller first")


def random_boxes(rng: SampleRng, height: int, width: int, scale: Sequence[float], ratio: Sequence[float]) -> Integers:
    """A random box (top, left, height, width) for each sample, [N, 4]; zeros where none of MAX_TRIES fits.

    scale: smallest and largest share of the area; ratio: smallest and largest width / height.
    """
    areas = rng.uniforms(MAX_TRIES, scale[0], scale[1]) * height * width
    aspects = np.exp(rng.uniforms(MAX_TRIES, np.log(ratio[0]), np.log(ratio[1])))
    heights, widths = np.rint(np.sqrt(areas / aspects)), np.rint(np.sqrt(areas * aspects))
    fits: NDArray[np.bool_] = (heights > 0) & (widths > 0) & (heights <= height) & (widths <= width)
    rows, first = np.arange(len(rng)), fits.argmax(axis=1)
    box_height, box_width = heights[rows, first].astype(np.int64), widths[rows, first].astype(np.int64)
    tops = rng.integers(0, np.maximum(height - box_height, 0))
    lefts = rng.integers(0, np.maximum(width - box_width, 0))
    boxes: Integers = np.stack([tops, lefts, box_height, box_width], axis=1)
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


def _flip(dimension: int, p: float, images: Tensor, rng: SampleRng) -> Tensor:
    chosen = np.flatnonzero(rng.chance(p))
    flipped = images.clone()
    if images.device.type == "cpu":  # NumPy flips in a third of torch's time
        pixels = flipped.numpy()
        pixels[chosen] = np.flip(pixels[chosen], dimension)
        return flipped
    rows = to_device(chosen, images.device)
    flipped[rows] = images[rows].flip(dimension)
    return flipped


@image_transforms.register
def rotation(
    *, degrees: float = 15.0, interpolation: Literal["nearest", "bilinear"] = "bilinear", fill: int = 0
) -> BatchTransform:
    """Rotate around the center by a random angle in [-degrees, degrees]; corners get the gray level `fill`."""
    return BatchTransform(partial(_rotation, degrees, interpolation, fill))


def _rotation(degrees: float, interpolation: str, fill: int, images: Tensor, rng: SampleRng) -> Tensor:
    return affine_warp(images, rotation_matrices(rng.uniform(-degrees, degrees)), interpolation, fill)


def rotation_matrices(degrees: Floats) -> Floats:
    """Matrices [N, 2, 3] with which `affine_warp` rotates counter-clockwise around the center."""
    cos, sin, zero = np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), np.zeros(len(degrees))
    return np.stack([np.stack([cos, -sin, zero], 1), np.stack([sin, cos, zero], 1)], 1)


def affine_warp(images: Tensor, matrices: Floats, interpolation: str, fill: int = 0) -> Tensor:
    """Give pixel (x, y) of image i the value at matrices[i] @ (x, y, 1), or `fill` outside of the image.

    Coordinates are in pixels from the center; matrices [N, 2, 3].
    """
    height, width = images.shape[-2:]
    a, b, c, d, e, f = (per_image(entries, images)[..., 0] for entries in matrices.reshape(-1, 6).T)  # each [N, 1, 1]
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = (torch.arange(height, device=images.device) - (height - 1) / 2).view(-1, 1)
    grid = torch.stack([(a * x + b * y + c) * (2 / width), (d * x + e * y + f) * (2 / height)], dim=-1)
    pixels = images.float() - fill  # grid_sample fills with zeros only
    return as_uint8(F.grid_sample(pixels, grid, interpolation, "zeros", align_corners=False) + fill)


def _as_list(size: int | Sequence[int]) -> list[int]:
    return [size] if isinstance(size, int) else list(size)


def _mode(name: str) -> Any:
    from torchvision.transforms import InterpolationMode

    return InterpolationMode(name)
