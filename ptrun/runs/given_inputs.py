"""Inputs that a Python program gives: paths, images, arrays, rows or data frames, opened as a source."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptrun.build.inputs import Preparation, open_array, open_images, open_inputs, open_rows
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.image_file import SUFFIXES, image_tensor, is_image
from ptrun.data.inputs.rows import as_rows
from ptrun.data.inputs.source import Source
from ptrun.errors import DataError
from ptrun.spec import Layout

_TAKEN = (
    "Give a path or a list of paths, an image of Pillow or a list of them, an array, a data frame, a dictionary, or a "
    "list of dictionaries."
)


def open_given(inputs: Any, preparation: Preparation) -> tuple[Source, bool, int]:
    """The source of inputs, whether they are one sample rather than several, and the size of a batch.

    Raises DataError for what is no input of the model.
    """
    in_memory = preparation.batch_size(files=False)
    if isinstance(inputs, str | os.PathLike):
        return _paths([os.fspath(inputs)], preparation)
    if is_image(inputs):
        return _images([inputs], preparation), True, in_memory
    if isinstance(inputs, torch.Tensor):
        inputs = inputs.detach().cpu().numpy()
    if isinstance(inputs, np.ndarray):
        samples, is_one = _samples(inputs, preparation)
        return open_array(samples, "the array", preparation), is_one, in_memory
    if hasattr(inputs, "to_dict") and hasattr(inputs, "columns"):  # a data frame of pandas or polars
        columns = {str(name): list(inputs[name]) for name in inputs.columns}
        return open_rows(_columns(columns), preparation), _is_forecast(preparation), in_memory
    if isinstance(inputs, Mapping):
        return _mapping(inputs, preparation)
    if isinstance(inputs, Sequence) and len(inputs):
        return _list(list(inputs), preparation)
    raise DataError(f"predict: can't read {type(inputs).__name__}{' without items' if inputs == [] else ''}. {_TAKEN}")


def _paths(paths: list[str], preparation: Preparation) -> tuple[Source, bool, int]:
    is_image = preparation.spec.layout is Layout.IMAGE
    is_one = len(paths) == 1 and Path(paths[0]).suffix.lower() in SUFFIXES and not glob.has_magic(paths[0])
    is_array = Path(paths[0]).suffix.lower() in (".npy", ".npz")
    batch_size = preparation.batch_size(files=is_image and not is_array)
    return open_inputs(paths, preparation), (is_one and is_image) or _is_forecast(preparation), batch_size


def _mapping(inputs: Mapping[str, Any], preparation: Preparation) -> tuple[Source, bool, int]:
    """A dictionary of columns, or of the values of one row."""
    batch_size = preparation.batch_size(files=False)
    of_columns = all(
        isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) for value in inputs.values()
    )
    if of_columns and inputs:
        columns = {str(name): list(values) for name, values in inputs.items()}
        return open_rows(_columns(columns), preparation), _is_forecast(preparation), batch_size
    return open_rows(as_rows([inputs], "the row"), preparation), True, batch_size


def _list(inputs: list[Any], preparation: Preparation) -> tuple[Source, bool, int]:
    batch_size = preparation.batch_size(files=False)
    if all(isinstance(item, str | os.PathLike) for item in inputs):
        source, _, batch_size = _paths([os.fspath(item) for item in inputs], preparation)
        return source, False, batch_size
    if all(map(is_image, inputs)):
        return _images(inputs, preparation), False, batch_size
    if all(isinstance(item, Mapping) for item in inputs):
        return open_rows(as_rows(inputs, "the rows"), preparation), _is_forecast(preparation), batch_size
    if all(isinstance(item, np.ndarray) for item in inputs):
        return open_array(np.stack(inputs), "the arrays", preparation), False, batch_size
    kinds = sorted({type(item).__name__ for item in inputs})
    raise DataError(f"predict: can't read a list of {', '.join(kinds)}. {_TAKEN}")


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
    if preparation.spec.layout is not Layout.IMAGE:
        is_one = values.ndim == len(shape)
        return (values[None] if is_one else values), is_one
    has_channels = values.ndim == 3 and (values.shape[-1] in (1, 3) or values.shape == shape)
    is_one = values.ndim == 2 or has_channels
    return (values[None] if is_one else values), is_one


def _columns(columns: Mapping[str, Sequence[Any]]) -> CsvFile:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise DataError(f"predict: the columns have different lengths ({', '.join(map(str, sorted(lengths)))}).")
    names = list(columns)
    return as_rows([dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)], "the table")


def _is_forecast(preparation: Preparation) -> bool:
    return preparation.config.dataset.name == "series" and not preparation.settings.rolling
