"""The `arrays` data set: NumPy arrays of a .npz file, as images, vectors or sequences with a class each.

Pickled objects in the file are refused, because they could run code. Images stay uint8; other inputs are
standardized with the training samples.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.features.labels import class_names, encode, fit_scaler, labelled
from ptrun.data.formats.npz_header import array_layout
from ptrun.data.formats.paths import existing_file
from ptrun.data.partition import Indices, SplitSettings, record, stratified
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

PARTS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
CHANNELS = (1, 3)
_HOW_TO_WRITE = "Write it with numpy.savez(path, x_train=..., y_train=...), from arrays of numbers or texts."


@dataclass(frozen=True)
class _Samples:
    """Samples with a label, as in the file, but images are [N, channels, height, width].

    where: names the labels in messages. rows: the positions in the file. notes: on samples that were left out.
    """

    inputs: NDArray[Any]
    layout: Layout
    labels: list[str]
    where: str
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
    channel_axis: str = "auto",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Data:
    """Arrays x_train and y_train of a .npz file, and x_test and y_test; without these, the test part is cut from train.

    Images are uint8 [N, height, width], [N, height, width, channels] or [N, channels, height, width]; vectors are
    [N, features] and sequences [N, time steps, features] of other numbers. Labels are class numbers or names, [N].
    Raises DataError for a file without these arrays, and for arrays of another kind.
    """
    if channel_axis not in ("auto", "first", "last"):
        raise ConfigError(f"dataset.channel_axis is '{channel_axis}'; it can be auto, first or last.")
    known_names = fitted["class_names"] if fitted else ()
    samples = _read(existing_file(path, "dataset.path"), channel_axis, known_names)
    train, test = samples["train"], samples.get("test")
    names = tuple(fitted["class_names"]) if fitted else class_names(train.labels, train.where)
    splitting = SplitSettings(val_fraction, 0.0 if test else test_fraction, split_seed, evaluating=fitted is not None)
    codes = train.codes(names)
    parts = stratified(codes, names, splitting)
    fitted = dict(fitted) if fitted else _fit_to_training(train, parts.train, names)
    cuts = {"train": (train, codes, parts.train), "val": (train, codes, parts.val), "test": (train, codes, parts.test)}
    if test:
        cuts["test"] = (test, test.codes(names), np.arange(len(test.labels)))
    splits = {part: _split(*cut, fitted) for part, cut in cuts.items()}
    method = "stratified val, given test" if test else "stratified"
    by_part = [(part, split.rows.numpy(), split.targets.numpy()) for part, split in splits.items()]
    return Data(
        spec=_spec(train, names),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted=fitted,
        notes=(*(note for each in samples.values() for note in each.notes), *parts.notes),
        record=record(method, by_part, names, split_seed),
    )


def _read(path: Path, channel_axis: str, known_names: Sequence[str]) -> dict[str, _Samples]:
    """The samples of each part that the file has."""
    arrays = load_arrays(path)
    has_test = bool(set(PARTS["test"]) & set(arrays))
    required = [*PARTS["train"], *(PARTS["test"] if has_test else ())]
    missing = [name for name in required if name not in arrays]
    if missing:
        raise DataError(
            f"{path} has the arrays {join_words(arrays) or '(none)'}, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing. It needs x_train and y_train, and may have x_test and "
            "y_test."
        )
    return {
        part: _samples(path, names, arrays, channel_axis, known_names)
        for part, names in PARTS.items()
        if names[0] in arrays
    }


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a .npz file. Raises DataError for another file and for one that holds Python objects."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} can't be read as a .npz file of plain arrays: {_reason(path, error)}. {_HOW_TO_WRITE}"
        ) from error


def _reason(path: Path, error: Exception) -> str:
    """Why the file can't be read: numpy's message, except when that advises to load pickled objects."""
    if isinstance(error, OSError) and error.errno:
        return error.strerror or str(error)
    with path.open("rb") as file:
        is_pickle = file.read(1) == b"\x80"
    is_zip = zipfile.is_zipfile(path)
    if "allow_pickle" in str(error) and (is_zip or is_pickle):
        return "it holds Python objects, which are refused because they can run code"
    return str(error).rstrip(".") if is_zip else "it is another kind of file"


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


def _checked_layout(path: Path, name: str, inputs: NDArray[Any]) -> Layout:
    """What the inputs are. Raises DataError for other shapes and types, and for a non-finite value."""
    layout = array_layout(inputs.dtype.str, inputs.ndim)
    if layout is None:
        raise DataError(
            f"{path}: {name} is {inputs.dtype} {list(inputs.shape)}. Give images as uint8 [N, height, width] or "
            "[N, height, width, channels] with values from 0 to 255, vectors as numbers [N, features], or sequences "
            "as numbers [N, time steps, features]."
        )
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        position = np.argwhere(~np.isfinite(inputs))[0].tolist()
        raise DataError(f"{path}: {name}{position} is non-finite (NaN or infinite). Fill it, or remove the sample.")
    return layout


def _samples(
    path: Path,
    names: tuple[str, str],
    arrays: Mapping[str, NDArray[Any]],
    channel_axis: str,
    known_names: Sequence[str],
) -> _Samples:
    """The labelled samples of two arrays, of inputs and of labels."""
    x, y = names
    inputs, labels = arrays[x], _checked_labels(path, y, arrays[y])
    if len(inputs.shape) == 0 or len(inputs) != len(labels):
        raise DataError(f"{path}: {x} has the shape {list(inputs.shape)}, but {y} has {len(labels)} labels.")
    layout = _checked_layout(path, x, inputs)
    if layout is Layout.IMAGE:
        inputs = channels_first(inputs, channel_axis)
    texts = [str(label) for label in labels.tolist()]
    kept, notes = labelled(texts, known_names)
    if notes:
        inputs, texts = inputs[kept], [texts[position] for position in kept]
    return _Samples(inputs, layout, texts, f"{path}, {y},", np.asarray(kept, dtype=np.int64), tuple(notes))


def channels_first(images: NDArray[Any], channel_axis: str) -> NDArray[Any]:
    """Return images as [N, channels, height, width]."""
    if images.ndim == 3:
        return images[:, None]
    looks_first = images.shape[1] in CHANNELS and images.shape[3] not in CHANNELS
    first = looks_first if channel_axis == "auto" else channel_axis == "first"
    return images if first else np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _fit_to_training(samples: _Samples, train: Indices, names: tuple[str, ...]) -> dict[str, Any]:
    """Class names, shape, and for vectors and sequences mean and standard deviation of each feature."""
    fitted: dict[str, Any] = {"class_names": list(names), "shape": list(samples.inputs.shape[1:])}
    if samples.layout is Layout.IMAGE:
        return fitted
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
    if samples.layout is not Layout.IMAGE:
        inputs = ((inputs - np.array(fitted["mean"])) / np.array(fitted["std"])).astype(np.float32)
    return TensorSplit(torch.from_numpy(inputs), torch.from_numpy(codes[rows]), torch.from_numpy(samples.rows[rows]))
