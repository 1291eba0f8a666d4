"""Resizing and cropping inside an exported model, with the pixels that an evaluation's image transforms give.

An exporter's own resize rounds in another way: that of ONNX differs from torch's in 0.3 % of the pixels of photos
scaled to 224x224, by up to 2 gray levels. Here each direction is a product with a matrix of weights, which every
format has. Weights are whole numbers and sums are exact, as in torch's kernel for uint8 images
(aten/src/ATen/native/cpu/UpSampleKernel.cpp). A photo of 500x375 takes onnxruntime 17 ms on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_ORDERS = (["resize"], ["center_crop"], ["resize", "center_crop"])  # of the transforms that can be inside

_MAX_WEIGHT = 2**15  # torch keeps weights as int16
_MAX_BITS = 22  # torch's limit of the precision of weights
_CUBIC = -0.5  # the coefficient of bicubic filters with antialiasing, in torch as in Pillow


def resizing_of(transforms: Sequence[Any]) -> ResizeAndCrop | None:
    """The module of the image transforms of a configuration; None for others, or when they leave a size free."""
    named = {name: values or {} for item in transforms if not isinstance(item, str) for name, values in item.items()}
    sizes = {name: _sides(values["size"]) for name, values in named.items() if "size" in values}
    interpolation = next(
        (values["interpolation"] for values in named.values() if "interpolation" in values), "bilinear"
    )
    if list(sizes) not in _ORDERS or len(sizes) != len(transforms) or interpolation not in ("bilinear", "bicubic"):
        return None
    crop = sizes.get("center_crop", sizes.get("resize", ()))
    if list(sizes) == ["resize"] and len(crop) == 1:
        return None
    return ResizeAndCrop(sizes.get("resize", ()), (crop[0], crop[-1]), interpolation)


def _sides(size: int | Sequence[int]) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else tuple(size)


class ResizeAndCrop(nn.Module):
    """Maps uint8 images [batch, channels, any height, any width] to those after `resize` and `center_crop`, as float64.

    size: of the shorter side, or height and width; () for no resize. crop: height and width.
    """

    def __init__(self, size: tuple[int, ...], crop: tuple[int, int], interpolation: str = "bilinear") -> None:
        super().__init__()
        self.size, self.crop, self.interpolation = size, crop, interpolation

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 [batch, channels, height, width] to whole float64 numbers [batch, channels, *crop]."""
        height, width = images.shape[2], images.shape[3]
        new_height, new_width = self._new_size(height, width)
        by_columns = _weights(width, new_width, self.crop[1], self.interpolation)
        by_rows = _weights(height, new_height, self.crop[0], self.interpolation)
        # torch scales the width first, and rounds in between.
        narrow = _rounded(images.double() @ by_columns[0].T, by_columns[1])
        return _rounded(by_rows[0] @ narrow, by_rows[1])

    def _new_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after `resize`."""
        if not self.size:
            return height, width
        if len(self.size) == 2:
            return self.size[0], self.size[1]
        shorter: int = torch.sym_min(height, width)  # type: ignore[assignment] # while it is traced, sizes are symbols
        return self.size[0] * height // shorter, self.size[0] * width // shorter


def _weights(old: int, new: int, crop: int, interpolation: str) -> tuple[Tensor, Tensor]:
    """The weights [crop, old] of pixels along one side for each pixel after resize and crop, and their unit.

    They are whole numbers, as float64; a row sums up to about the unit, a power of two. Rows of padding are zero.
    """
    pixels, places = torch.arange(old, dtype=torch.float64), torch.arange(new, dtype=torch.float64)
    exact = _exact_weights(pixels, places.unsqueeze(1), interpolation)
    unit = _unit(exact.max())
    whole = (exact * unit + torch.where(exact < 0, -0.5, 0.5)).trunc()
    num_places = places[-1] + 1
    spare = num_places - crop
    # Where torchvision begins to cut (half to even, as Python rounds), or, when the image is smaller, to pad.
    first = torch.where(spare < 0, (spare / 2).ceil(), (spare / 2).round())
    cut = torch.arange(crop, dtype=torch.float64) + first
    is_inside = (cut >= 0) & (cut < num_places)
    rows = torch.minimum(cut.clamp(min=0), num_places - 1).long()
    return torch.where(is_inside.unsqueeze(1), whole.index_select(0, rows), 0.0), unit


def _exact_weights(pixels: Tensor, places: Tensor, interpolation: str) -> Tensor:
    """The weights [new, old] of an antialiased filter, each row with the sum 1.

    pixels: 0 to old - 1. places: 0 to new - 1, as a column [new, 1].
    """
    num_pixels, num_places = pixels[-1] + 1, places[-1] + 1
    scale = num_pixels / num_places
    stretch = scale.clamp(min=1.0)
    centers = scale * (places + 0.5)
    support = (2.0 if interpolation == "bicubic" else 1.0) * stretch
    first = (centers - support + 0.5).trunc().clamp(min=0.0)
    end = torch.minimum((centers + support + 0.5).trunc(), num_pixels)
    distances = ((pixels - centers + 0.5) * (1 / stretch)).abs()
    heights = _cubic(distances) if interpolation == "bicubic" else (1 - distances).clamp(min=0.0)
    heights = torch.where((pixels >= first) & (pixels < end), heights, 0.0)
    return heights / heights.sum(1, keepdim=True)


def _cubic(distances: Tensor) -> Tensor:
    """The cubic convolution filter (Keys, 1981)."""
    near = ((_CUBIC + 2) * distances - (_CUBIC + 3)) * distances * distances + 1
    far = (((distances - 5) * distances + 8) * distances - 4) * _CUBIC
    return torch.where(distances < 1, near, torch.where(distances < 2, far, 0.0))


def _unit(largest: Tensor) -> Tensor:
    """The largest power of two for which the largest weight is a whole number below _MAX_WEIGHT."""
    units = torch.exp2(torch.arange(1, _MAX_BITS + 1, dtype=torch.float64))
    return (units * ((0.5 + largest * units).trunc() < _MAX_WEIGHT)).max()


def _rounded(sums: Tensor, unit: Tensor) -> Tensor:
    """Sums in a unit as gray levels."""
    return ((sums + unit / 2) / unit).floor().clamp(0.0, 255.0)
