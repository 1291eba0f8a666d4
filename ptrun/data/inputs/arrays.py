"""New samples in NumPy arrays: of a .npy or .npz file, or in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.formats.array_images import Range, as_layout, channels_first, to_pixels
from ptrun.data.formats.npz_file import array_names, open_array
from ptrun.data.formats.npz_header import array_role
from ptrun.data.inputs.source import Chunk
from ptrun.errors import DataError, join_words
from ptrun.spec import Layout

INPUT_NAMES = ("x", "x_new", "x_test", "x_val", "x_train")  # in this order, where a file has several arrays


@dataclass(frozen=True)
class ArrayRows:
    """The source of vectors or sequences [N, ...] that are standardized by `mean` and `std` of the last dimension."""

    values: NDArray[Any]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    batch_size: int
    identity: str = ""
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.values)

    def chunks(self, start: int) -> Iterator[Chunk]:
        for begin in range(start, len(self.values), self.batch_size):
            values = self.values[begin : begin + self.batch_size]
            names = [f"row {begin + i}" for i in range(len(values))]
            problems = {
                i: f"{names[i]} holds a number that is non-finite (NaN or infinite)"
                for i, sample in enumerate(values)
                if not np.isfinite(sample).all()
            }
            good = values[[i for i in range(len(values)) if i not in problems]]
            inputs = ((good - self.mean) / self.std).astype(np.float32)
            yield Chunk(names, torch.from_numpy(inputs), problems)


def read_inputs(path: Path) -> NDArray[Any]:
    """The array of inputs in a .npy or .npz file. Raises DataError when it is not clear which one that is."""
    if path.suffix.lower() == ".npy":
        try:
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} can't be read as a .npy file of numbers: {error}.") from error
        return array
    arrays = array_names(path)
    roles = {array_role(name): name for name in arrays}
    names = [*INPUT_NAMES, *(roles.get(("x", part), "") for part in ("test", "val", "train"))]
    name = next((name for name in names if name in arrays), arrays[0] if len(arrays) == 1 else None)
    if name is None:
        raise DataError(
            f"{path} has the arrays {join_words(arrays) or '(none)'}. Call the one to predict from {INPUT_NAMES[0]}."
        )
    return open_array(path, name)


def require_shape(values: NDArray[Any], shape: tuple[int, ...], name: str) -> None:
    """Raise DataError unless values are numbers [N, *shape]."""
    if values.shape[1:] != shape or values.dtype.kind not in "iufb":
        raise DataError(
            f"{name} holds {values.dtype} {list(values.shape)}, but the model was trained on numbers "
            f"{['N', *shape]}. Give it samples of the same kind."
        )


def images_of(
    values: NDArray[Any], channel_axis: str, scale: Range | None, name: str, first_row: int = 0
) -> list[torch.Tensor]:
    """Images uint8 [C, H, W] from an array [N, H, W], [N, H, W, C] or [N, C, H, W]. Raises DataError for others.

    scale: the values that became 0 and 255 in training; None for uint8. first_row: the row of the first image.
    """
    is_image = values.ndim in (3, 4) and values.dtype.kind in "iufb"
    if is_image and values.dtype.kind == "f" and not np.isfinite(values).all():
        row = first_row + int(np.argwhere(~np.isfinite(values))[0][0])
        raise DataError(f"{name}: row {row} holds a number that is non-finite (NaN or infinite). Remove it.")
    pixels = to_pixels(np.asarray(values), scale if is_image else None, name)
    if not is_image:
        raise DataError(f"{name} holds {values.dtype} {list(values.shape)}; images are [N, height, width] or more.")
    return [torch.from_numpy(np.array(image)) for image in channels_first(pixels, channel_axis)]


def shaped_like(values: NDArray[Any], fitted: Mapping[str, Any]) -> NDArray[Any]:
    """Samples in the layout that dataset.layout gave the training samples, where they fit it."""
    layout = fitted.get("layout")
    shaped = as_layout(values, Layout(layout), "auto") if layout is not None else None
    return values if shaped is None else shaped
