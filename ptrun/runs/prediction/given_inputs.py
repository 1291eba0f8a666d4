"""Inputs that a Python program gives: paths, images, arrays, rows or data frames, opened as a source."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptrun.build.inputs import (
    Preparation,
    open_array,
    open_images,
    open_inputs,
    open_rows,
    open_sequences,
)
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.image_file import SUFFIXES, image_tensor, is_image
from ptrun.data.inputs.images import ImagesInMemory
from ptrun.data.inputs.rows import as_rows
from ptrun.data.inputs.source import Source
from ptrun.errors import DataError, join_words
from ptrun.spec import Layout

_TAKEN = (
    "Give a path or a list of paths, an image of Pillow or a list of them, an array, a data frame, a dictionary, or a "
    "list of dictionaries."
)


def open_given(inputs: Any, preparation: Preparation) -> tuple[Source, bool]:
    """The source of inputs, and whether they are one sample rather than several.

    Raises DataError for what is no input of the model.
    """
    if isinstance(inputs, str | os.PathLike):
        return _paths([os.fspath(inputs)], preparation)
    if is_image(inputs):
        return _images([inputs], preparation), True
    if isinstance(inputs, torch.Tensor):
        inputs = _as_array(inputs)
    if isinstance(inputs, np.ndarray):
        samples, is_one = _samples(inputs, preparation)
        return open_array(samples, "the array", preparation), is_one
    if hasattr(inputs, "to_dict") and hasattr(inputs, "columns"):  # a data frame of pandas or polars
        columns = {str(name): list(inputs[name]) for name in inputs.columns}
        return open_rows(_columns(columns), preparation), _is_forecast(preparation)
    if hasattr(inputs, "to_dict") and hasattr(inputs, "index"):  # a row of a data frame of pandas
        inputs = inputs.to_dict()
    if isinstance(inputs, Mapping):
        return _mapping(inputs, preparation)
    if isinstance(inputs, Sequence) and len(inputs):
        return _list(list(inputs), preparation)
    is_empty = isinstance(inputs, Sequence)
    raise DataError(f"predict: can't read {type(inputs).__name__}{' without items' if is_empty else ''}. {_TAKEN}")


def _as_array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    values = tensor.detach().cpu()
    return (values.float() if values.dtype is torch.bfloat16 else values).numpy()


def _paths(paths: list[str], preparation: Preparation) -> tuple[Source, bool]:
    is_image = preparation.spec.layout is Layout.IMAGE
    is_one = len(paths) == 1 and Path(paths[0]).suffix.lower() in SUFFIXES and not glob.has_magic(paths[0])
    return open_inputs(paths, preparation), (is_one and is_image) or _is_forecast(preparation)


def _mapping(inputs: Mapping[str, Any], preparation: Preparation) -> tuple[Source, bool]:
    """A dictionary of columns, or of the values of one row."""
    if inputs and all(map(_is_column, inputs.values())):
        columns = {str(name): list(values) for name, values in inputs.items()}
        return open_rows(_columns(columns), preparation), _is_forecast(preparation)
    return open_rows(as_rows([inputs], "the row"), preparation), True


def _is_column(value: Any) -> bool:
    """Whether a value of a dictionary holds the cells of many rows: a list, an array, a column of a data frame."""
    return hasattr(value, "__len__") and hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _list(inputs: list[Any], preparation: Preparation) -> tuple[Source, bool]:
    if all(isinstance(item, str | os.PathLike) for item in inputs):
        source, _ = _paths([os.fspath(item) for item in inputs], preparation)
        return source, False
    if all(map(is_image, inputs)):
        return _images(inputs, preparation), False
    if all(isinstance(item, Mapping) for item in inputs):
        return open_rows(as_rows(inputs, "the rows"), preparation), _is_forecast(preparation)
    if all(isinstance(item, np.ndarray | torch.Tensor) for item in inputs):
        arrays = [_as_array(item) if isinstance(item, torch.Tensor) else item for item in inputs]
        return _arrays(arrays, preparation), False
    kinds = sorted({type(item).__name__ for item in inputs})
    raise DataError(f"predict: can't read a list of {', '.join(kinds)}. {_TAKEN}")


def _arrays(arrays: list[np.ndarray[Any, Any]], preparation: Preparation) -> Source:
    """Samples in an array each. Raises DataError for unequal shapes where a model needs equal ones."""
    if preparation.config.dataset.name == "sequences":  # which may have unequal lengths
        return open_sequences(arrays, "the arrays", preparation)
    shapes = {array.shape for array in arrays}
    if len(shapes) == 1:
        return open_array(np.stack(arrays), "the arrays", preparation)
    if preparation.spec.layout is not Layout.IMAGE:
        listed = join_words([str(list(shape)) for shape in sorted(shapes)], 4)
        raise DataError(f"predict: the arrays have different shapes ({listed}); samples of this model have one shape.")
    sources = [open_array(array[None], "the arrays", preparation) for array in arrays]
    samples = [source.converted(0) for source in sources if isinstance(source, ImagesInMemory)]
    return open_images(samples, [f"row {i}" for i in range(len(samples))], preparation)


def _images(images: Sequence[Any], preparation: Preparation) -> Source:
    if preparation.spec.layout is not Layout.IMAGE:
        raise DataError(f"predict: the model takes a {preparation.spec.layout}, not an image.")
    channels = preparation.image_reader().channels
    names = [getattr(image, "filename", "") or f"image {i}" for i, image in enumerate(images)]
    samples = [image_tensor(image, channels, name) for image, name in zip(images, names, strict=True)]
    return open_images(samples, names, preparation)


def _samples(values: np.ndarray[Any, Any], preparation: Preparation) -> tuple[np.ndarray[Any, Any], bool]:
    """An array whose first dimension counts samples, and whether it was one sample without that dimension."""
    shape = preparation.spec.input_shape
    if preparation.spec.layout is Layout.IMAGE:
        has_channels = values.ndim == 3 and (values.shape[-1] in (1, 3) or values.shape[0] == shape[0])
        is_one = values.ndim == 2 or has_channels
    elif preparation.config.dataset.name == "sequences" and len(preparation.fitted["mean"]) == 1:  # channel, left out
        is_one = values.ndim == 1 or (values.ndim == 2 and values.shape[-1] == 1)
    else:
        is_one = values.ndim == len(shape)
    return (values[None] if is_one else values), is_one


def _columns(columns: Mapping[str, Sequence[Any]]) -> CsvFile:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise DataError(f"predict: the columns have different lengths ({', '.join(map(str, sorted(lengths)))}).")
    names = list(columns)
    return as_rows([dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)], "the table")


def _is_forecast(preparation: Preparation) -> bool:
    return preparation.config.dataset.name == "series" and not preparation.settings.rolling
