"""Images in NumPy arrays of any type: whether an array looks like images, and how its values become 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.errors import DataError
from ptrun.spec import Layout

CHANNELS = (1, 3)
_LOOKED_AT = 2000  # samples that decide whether neighbors are alike
_MIN_CORRELATION = 0.3  # of neighboring pixels: photos and drawn digits have 0.7 and more, unrelated columns 0
_CHUNK = 1024  # samples that are scaled at a time: in float64 they take eight times their memory
_FAR_OUT = 4.0  # times the range: values so far above it are on another scale

Range = Sequence[float]  # the values that become 0 and 255


def looks_like_images(values: NDArray[Any]) -> bool:
    """Whether [N, height, width] are gray images: in a range of images, and alike in neighboring rows and columns."""
    if len(values) == 0 or (_usual_range(values) is None and values.dtype != np.uint16):
        return False
    some = values[:_LOOKED_AT].astype(np.float64)
    some -= some.mean(axis=0)  # else columns at different heights would count as alike
    variance = float(np.square(some).mean())
    if variance == 0:
        return False
    along_columns = float((some[:, 1:] * some[:, :-1]).mean()) / variance
    along_rows = float((some[:, :, 1:] * some[:, :, :-1]).mean()) / variance
    return min(along_columns, along_rows) >= _MIN_CORRELATION


def as_layout(values: NDArray[Any], layout: Layout, channel_axis: str) -> NDArray[Any] | None:
    """Samples as [N, channels, height, width], [N, features] or [N, time, features]; None when they can't be that."""
    if layout is Layout.IMAGE:
        return channels_first(values, channel_axis) if values.ndim in (3, 4) else None
    if layout is Layout.VECTOR:
        return values.reshape(len(values), -1) if values.ndim >= 2 and len(values) else None
    if values.ndim == 2:
        return values[:, :, None]
    return values if values.ndim == 3 else None


def channels_first(images: NDArray[Any], channel_axis: str) -> NDArray[Any]:
    """Return images as [N, channels, height, width]."""
    if images.ndim == 3:
        return images[:, None]
    size, height, width = images.shape[1:]
    is_square_after = height == width != size  # [N, 13, 64, 64]: satellites have many channels
    looks_first = (size in CHANNELS or is_square_after) and width not in CHANNELS
    first = looks_first if channel_axis == "auto" else channel_axis == "first"
    return images if first else np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def fit_range(values: NDArray[Any]) -> list[float]:
    """The values that become 0 and 255: [0, 1] or [0, 255] where images usually have them, else those that occur."""
    usual = _usual_range(values)
    if usual is not None:
        return usual
    low, high = float(values.min()), float(values.max())
    return [low, high if high > low else low + 1]


def scale_of(values: NDArray[Any], scale: Range | None) -> Range | None:
    """The values that become 0 and 255 in an array, by those of the training; None for bytes that stay as they are."""
    if scale is None or values.dtype != np.uint8:
        return scale
    return None if list(scale) in ([0, 1], [0, 255]) and values.max(initial=0) > 1 else scale


def to_pixels(values: NDArray[Any], scale: Range | None, name: str) -> NDArray[np.uint8]:
    """Values scaled to 8 bits by the range of the training samples, rounded and clipped; uint8 stays as it is.

    scale: None for a training on uint8. Raises DataError for values of another type or on another scale.
    """
    if values.dtype == np.uint8 and scale_of(values, scale) is None:
        return values
    if scale is None or values.dtype.kind not in "iufb":
        raise DataError(
            f"{name} holds {values.dtype} {list(values.shape)}; images are uint8 [N, height, width] or "
            "[N, height, width, channels], with values from 0 to 255, as in training."
        )
    low, high = scale
    highest = float(values.max()) if values.size else low
    is_of_one = list(scale) == [0, 255] and values.dtype.kind == "f" and 0 < highest <= 1
    if is_of_one or highest > high + _FAR_OUT * (high - low):
        raise DataError(
            f"{name} has values up to {highest:g}, but those of the training images lay between {low:g} and {high:g}. "
            "Give images on the same scale."
        )
    pixels = np.empty(values.shape, np.uint8)
    for begin in range(0, len(values), _CHUNK):
        chunk = values[begin : begin + _CHUNK].astype(np.float64)
        pixels[begin : begin + _CHUNK] = np.rint((chunk - low) * (255 / (high - low))).clip(0, 255)
    return pixels


def _usual_range(values: NDArray[Any]) -> list[float] | None:
    """[0, 1] or [0, 255] for values as images usually have them; None for others."""
    if values.dtype.kind == "b":
        return [0, 1]
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255 or high == 0:
        return None
    if high <= 1:
        return [0, 1]
    is_whole = values.dtype.kind in "iu" or bool((values == np.rint(values)).all())
    return [0, 255] if is_whole or high > 127 else None
