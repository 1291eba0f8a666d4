"""The `arrays` data set: NumPy arrays of a .npz file, as images, vectors or sequences with a class each.

Images become uint8, by the range of the training samples; other inputs are standardized with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.division import divide
from ptrun.data.duplicates import Identified, keys_of_arrays
from ptrun.data.features.labels import class_names, encode, fit_scaler, labelled
from ptrun.data.formats.array_images import as_layout, fit_range, looks_like_images, to_pixels
from ptrun.data.formats.npz_file import PARTS, arrays_by_role, load_arrays
from ptrun.data.formats.npz_header import SETTINGS, array_layout, layout_by_header, may_be_gray
from ptrun.data.formats.paths import existing_file
from ptrun.data.partition import Indices, Parts, record
from ptrun.data.samples import Given, Samples
from ptrun.data.split_settings import DEFAULT_SPLIT, SplitSettings
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError, DataError, did_you_mean, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task


@dataclass(frozen=True)
class _Reading:
    """How inputs are read. setting: dataset.layout. layout: of a trained model, or None to find it out.

    known_names: the classes of a trained model.
    """

    channel_axis: str
    setting: str
    layout: Layout | None
    known_names: Sequence[str]


@dataclass(frozen=True)
class _Samples:
    """Samples with a label, as in the file, but images are [N, channels, height, width].

    where, name: of labels and inputs, for messages. rows: the positions in the file. notes: on samples left out.
    """

    inputs: NDArray[Any]
    layout: Layout
    labels: list[str]
    where: str
    name: str
    rows: NDArray[np.int64]
    notes: tuple[str, ...]

    def codes(self, names: Sequence[str]) -> NDArray[np.int64]:
        """The class number of each sample."""
        return encode(self.labels, names, self.where, self.rows.tolist())


@datasets.register
def arrays(
    *,
    path: str,
    fitted: Mapping[str, Any] | None = None,
    layout: str = "auto",
    channel_axis: str = "auto",
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """Arrays x_train and y_train of a .npz file, and those of val and test; parts without arrays are cut from train.

    Images are [N, height, width], [N, height, width, channels] or [N, channels, height, width]; vectors are
    [N, features] and sequences [N, time steps, features]. Labels are class numbers or names, [N].
    Raises DataError for a file without these arrays, and for arrays of another kind.
    """
    if channel_axis not in ("auto", "first", "last"):
        raise ConfigError(f"dataset.channel_axis is '{channel_axis}'; it can be auto, first or last.")
    if layout not in SETTINGS:
        raise ConfigError(f"dataset.layout is '{layout}'; it can be {join_words(SETTINGS)}.")
    file = existing_file(path, "dataset.path")
    content = load_arrays(file)
    columns = [name for name in (splitting.group, splitting.column) if name in content]
    by_role, notes = arrays_by_role(file, content, columns)
    x_train = by_role["x", "train"]
    reading = _Reading(channel_axis, layout, _fitted_layout(fitted, content[x_train]), _names(fitted))
    given = [part for part in PARTS if ("x", part) in by_role]
    samples = {part: _samples(file, (by_role["x", part], by_role["y", part]), content, reading) for part in given}
    train = samples["train"]
    names = _names(fitted) or class_names(train.labels, train.where)
    codes = {part: each.codes(names) for part, each in samples.items()}
    parts = _divide(samples, codes, names, splitting, partial(_cells, file, content, train.rows))
    rows: dict[str, Indices] = {part: np.arange(len(each.labels)) for part, each in samples.items()}
    rows |= {part: getattr(parts, part) for part in PARTS if part == "train" or part not in samples}
    fitted = dict(fitted) if fitted else _fit_to_training(train, rows["train"], names)
    splits = {
        part: _split(samples.get(part, train), codes.get(part, codes["train"]), rows[part], fitted) for part in PARTS
    }
    by_part = [(part, split.rows.numpy(), split.targets.numpy()) for part, split in splits.items()]
    notes += _layout_notes(x_train, content[x_train], train, layout, fitted.get("range", ()))
    return Data(
        spec=_spec(train, names),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted=fitted,
        notes=(*notes, *(note for each in samples.values() for note in each.notes), *parts.notes),
        record=record(parts, by_part, names, splitting),
    )


def _divide(
    samples: Mapping[str, _Samples],
    codes: Mapping[str, NDArray[np.int64]],
    names: Sequence[str],
    splitting: SplitSettings,
    column: Callable[[str, str], Sequence[str]],
) -> Parts:
    """The parts, with notes on samples that are the same."""
    identified = {
        part: Identified(keys_of_arrays(each.inputs), partial(_place, part, each), codes[part])
        for part, each in samples.items()
    }
    train = identified["train"]
    pool = Samples(
        count=len(codes["train"]),
        noun="samples",
        name=train.name,
        classes=codes["train"],
        class_names=names,
        targets=codes["train"],
        keys=train.keys,
        given={part: Given(f"the array x_{part}", each) for part, each in identified.items() if part != "train"},
        column=column,
    )
    return divide(pool, splitting)


def _place(part: str, samples: _Samples, position: int) -> str:
    return f"row {samples.rows[position]} of {part}"


def _cells(
    path: Path, content: Mapping[str, NDArray[Any]], rows: NDArray[np.int64], name: str, setting: str
) -> list[str]:
    """The values of an array that tells the group or part of each training sample."""
    values = content.get(name)
    if values is None:
        raise DataError(
            f"{setting}: {path} has no array '{name}'.{did_you_mean(name, content)} It has: {join_words(content)}."
        )
    if values.ndim != 1 or len(values) <= rows.max(initial=-1):
        raise DataError(
            f"{setting}: {path}: the array {name} is {list(values.shape)}; a value for each sample is needed."
        )
    return [str(value) for value in values[rows].tolist()]


def _names(fitted: Mapping[str, Any] | None) -> tuple[str, ...]:
    return tuple(fitted["class_names"]) if fitted else ()


def _fitted_layout(fitted: Mapping[str, Any] | None, inputs: NDArray[Any]) -> Layout | None:
    """The layout of a trained model; older checkpoints do not hold it, so their data type decides."""
    if not fitted:
        return None
    if "layout" in fitted:
        return Layout(fitted["layout"])
    return array_layout(inputs.dtype.str, inputs.ndim)


def _checked_labels(path: Path, name: str, labels: NDArray[Any]) -> NDArray[Any]:
    """Labels [N], also of an array [N, 1]. Raises DataError for other shapes and types."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iubU":
        raise DataError(
            f"{path}: {name} is {labels.dtype} {list(labels.shape)}; one class number or name for each sample is "
            "needed, [N]. To predict other numbers, use dataset=table."
        )
    return labels


def _checked_inputs(path: Path, name: str, inputs: NDArray[Any], reading: _Reading) -> tuple[NDArray[Any], Layout]:
    """Inputs in the shape of their layout. Raises DataError for other shapes and types, and for a non-finite value."""
    if inputs.size == 0:
        raise DataError(f"{path}: {name} is empty: its shape is {list(inputs.shape)}. Give it samples.")
    layout = reading.layout or _layout(inputs, reading.setting)
    is_number = inputs.dtype.kind in "iufb"
    shaped = as_layout(inputs, layout, reading.channel_axis) if layout is not None and is_number else None
    if layout is None or shaped is None:
        wanted = f" It can't be taken as {layout}, as dataset.layout says." if reading.setting in tuple(Layout) else ""
        raise DataError(
            f"{path}: {name} is {inputs.dtype} {list(inputs.shape)}.{wanted} Give images as [N, height, width] or "
            "[N, height, width, channels], vectors as numbers [N, features], or sequences as numbers [N, time steps, "
            "features]."
        )
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        position = np.argwhere(~np.isfinite(inputs))[0].tolist()
        raise DataError(f"{path}: {name}{position} is non-finite (NaN or infinite). Fill it, or remove the sample.")
    return shaped, layout


def _layout(inputs: NDArray[Any], setting: str) -> Layout | None:
    """What the inputs are, by their type and shape and where these leave it open by their values."""
    dtype, shape = inputs.dtype.str, inputs.shape
    if setting == "auto" and may_be_gray(dtype, shape):
        return Layout.IMAGE if looks_like_images(inputs) else Layout.SEQUENCE
    return layout_by_header(dtype, shape, setting)


def _layout_notes(name: str, inputs: NDArray[Any], train: _Samples, setting: str, scale: Sequence[float]) -> list[str]:
    """What inputs that could be something else were taken for, and how images became 8 bits by a scale, if they did."""
    what = f"{name} is {inputs.dtype} {list(inputs.shape)}"
    is_open = setting == "auto" and may_be_gray(inputs.dtype.str, inputs.shape)
    if train.layout is Layout.IMAGE and scale:
        channels, height, width = train.inputs.shape[1:]
        note = (
            f"{what}, taken as images of {height} x {width} pixels, channels: {channels}. Values from {scale[0]:g} to "
            f"{scale[1]:g} become 8 bits (0 to 255)."
        )
        return [f"{note} dataset.layout=sequence takes them as sequences." if is_open else note]
    if train.layout is Layout.SEQUENCE and is_open:
        steps, features = inputs.shape[1:]
        return [f"{what}, taken as sequences of {steps} steps with {features} numbers. Images: dataset.layout=image."]
    return []


def _samples(
    path: Path,
    names: tuple[str, str],
    arrays: Mapping[str, NDArray[Any]],
    reading: _Reading,
) -> _Samples:
    """The labelled samples of two arrays, of inputs and of labels."""
    x, y = names
    inputs, labels = arrays[x], _checked_labels(path, y, arrays[y])
    if len(inputs.shape) == 0 or len(inputs) != len(labels):
        raise DataError(f"{path}: {x} has the shape {list(inputs.shape)}, but {y} has {len(labels)} labels.")
    inputs, layout = _checked_inputs(path, x, inputs, reading)
    texts = [str(label) for label in labels.tolist()]
    kept, notes = labelled(texts, reading.known_names)
    if notes:
        inputs, texts = inputs[kept], [texts[position] for position in kept]
    return _Samples(
        inputs, layout, texts, f"{path}, {y},", f"{path}, {x},", np.asarray(kept, dtype=np.int64), tuple(notes)
    )


def _fit_to_training(samples: _Samples, train: Indices, names: tuple[str, ...]) -> dict[str, Any]:
    """Class names, layout, shape; range of images but uint8; mean and standard deviation of each feature of others."""
    fitted: dict[str, Any] = {
        "class_names": list(names),
        "layout": str(samples.layout),
        "shape": list(samples.inputs.shape[1:]),
    }
    if samples.layout is Layout.IMAGE:
        is_8_bit = samples.inputs.dtype == np.uint8
        return fitted if is_8_bit else fitted | {"range": fit_range(samples.inputs[train])}
    inputs = samples.inputs[train].astype(np.float64)
    mean, std = fit_scaler(inputs.reshape(-1, inputs.shape[-1]))
    return fitted | {"mean": mean.tolist(), "std": std.tolist()}


def _spec(train: _Samples, names: tuple[str, ...]) -> DataSpec:
    return DataSpec(
        layout=train.layout,
        task=Task.CLASSIFICATION,
        input_shape=train.inputs.shape[1:],
        num_outputs=len(names),
        class_names=names,
    )


def _split(samples: _Samples, codes: NDArray[np.int64], rows: Indices, fitted: Mapping[str, Any]) -> TensorSplit:
    inputs = samples.inputs[rows]
    if list(inputs.shape[1:]) != fitted["shape"]:
        raise DataError(
            f"{samples.where} belongs to samples of shape {list(inputs.shape[1:])}, but the training samples have the "
            f"shape {fitted['shape']}. All samples need one shape."
        )
    if samples.layout is Layout.IMAGE:
        inputs = to_pixels(inputs, fitted.get("range"), samples.name)
    else:
        inputs = ((inputs - np.array(fitted["mean"])) / np.array(fitted["std"])).astype(np.float32)
    return TensorSplit(torch.from_numpy(inputs), torch.from_numpy(codes[rows]), torch.from_numpy(samples.rows[rows]))
