"""The `arrays` data set: NumPy arrays of a .npz file, as images, vectors or sequences with a class each.

Invariant: a file can't run code, because pickled objects in it are refused; features are standardised with the
training samples, images stay uint8.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.features.labels import class_names, encode, fit_scaler
from ptrun.data.formats.npz_header import array_layout
from ptrun.data.formats.paths import existing_file
from ptrun.data.partition import Parts, record, stratified
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

PARTS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
CHANNELS = (1, 3)
_HOW_TO_WRITE = "Write it with numpy.savez(path, x_train=..., y_train=...), from arrays of numbers or texts."


@dataclass(frozen=True)
class _Samples:
    """Inputs as the file has them, but images as [N, channels, height, width], and the label of each."""

    inputs: NDArray[Any]
    layout: Layout
    labels: list[str]
    where: str


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
    """Arrays x_train and y_train of a .npz file, and x_test and y_test if it has them, else the test part is cut from train.

    Images are uint8 [N, height, width], [N, height, width, channels] or [N, channels, height, width]; vectors are
    [N, features] and sequences [N, steps, features] of other numbers. Labels are class numbers or names, [N].
    Raises DataError for a file without these arrays, and for arrays of another kind.
    """
    if channel_axis not in ("auto", "first", "last"):
        raise ConfigError(f"dataset.channel_axis is '{channel_axis}'; it can be auto, first or last.")
    given = _read(existing_file(path, "dataset.path"), channel_axis)
    train, other = given["train"], given.get("test")
    names = tuple(fitted["class_names"]) if fitted else class_names(train.labels, train.where)
    codes = encode(train.labels, names, train.where, range(len(train.labels)))
    parts = stratified(
        codes,
        names,
        val_fraction=val_fraction,
        test_fraction=0.0 if other else test_fraction,
        split_seed=split_seed,
        evaluating=fitted is not None,
    )
    known = dict(fitted) if fitted else _fit(train, parts, names)
    held_out = (train, codes, parts.test)
    if other:
        held_out = (other, encode(other.labels, names, other.where, range(len(other.labels))), _all(other))
    cuts = {"train": (train, codes, parts.train), "val": (train, codes, parts.val), "test": held_out}
    splits = {part: _split(*cut, known) for part, cut in cuts.items()}
    told = [(part, rows, of[rows]) for part, (_, of, rows) in cuts.items()]
    return Data(
        spec=_spec(train, names),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted=known,
        record=record("stratified val, given test" if other else "stratified", told, names, split_seed),
    )


def _read(path: Path, channel_axis: str) -> dict[str, _Samples]:
    found = _load(path)
    wanted = [*PARTS["train"], *(PARTS["test"] if set(PARTS["test"]) & set(found) else ())]
    missing = [key for key in wanted if key not in found]
    if missing:
        raise DataError(
            f"{path} has the arrays {join_words(found) or '(none)'}, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. "
            "It needs x_train and y_train, and may have x_test and y_test."
        )
    return {part: _samples(path, x, y, found, channel_axis) for part, (x, y) in PARTS.items() if x in found}


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} can't be read as a .npz file of plain arrays: {_reason(path, error)}. {_HOW_TO_WRITE}"
        ) from error


def _reason(path: Path, error: Exception) -> str:
    """numpy's words, except where they tell how to load a file at one's own risk."""
    if isinstance(error, OSError) and error.errno:
        return error.strerror or str(error)
    with path.open("rb") as file:
        is_pickle = file.read(1) == b"\x80"
    is_zip = zipfile.is_zipfile(path)
    if "allow_pickle" in str(error) and (is_zip or is_pickle):
        return "it holds Python objects, which are refused because they can run code"
    return str(error).rstrip(".") if is_zip else "it is another kind of file"


def _samples(path: Path, x: str, y: str, found: Mapping[str, NDArray[Any]], channel_axis: str) -> _Samples:
    inputs, labels = found[x], found[y]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iubU":
        raise DataError(
            f"{path}: {y} is {labels.dtype} {list(labels.shape)}; one class number or name for each sample is needed, [N]. "
            "To predict other numbers, use dataset=table."
        )
    if len(inputs.shape) == 0 or len(inputs) != len(labels):
        raise DataError(f"{path}: {x} has the shape {list(inputs.shape)}, but {y} has {len(labels)} labels.")
    layout = array_layout(inputs.dtype.str, inputs.ndim)
    if layout is None:
        raise DataError(
            f"{path}: {x} is {inputs.dtype} {list(inputs.shape)}. Give images as uint8 [N, height, width] or [N, height, width, channels] "
            "with values from 0 to 255, vectors as numbers [N, features], or sequences as numbers [N, steps, features]."
        )
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        place = np.argwhere(~np.isfinite(inputs))[0].tolist()
        raise DataError(f"{path}: {x}{place} is no finite number. Fill it, or remove the sample.")
    arranged = _channels_first(inputs, channel_axis) if layout is Layout.IMAGE else inputs
    return _Samples(arranged, layout, [str(label) for label in labels.tolist()], f"{path}, {y},")


def _channels_first(images: NDArray[Any], channel_axis: str) -> NDArray[Any]:
    """Return images as [N, channels, height, width]."""
    if images.ndim == 3:
        return images[:, None]
    looks_first = images.shape[1] in CHANNELS and images.shape[3] not in CHANNELS
    first = looks_first if channel_axis == "auto" else channel_axis == "first"
    return images if first else np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _fit(train: _Samples, parts: Parts, names: tuple[str, ...]) -> dict[str, Any]:
    known: dict[str, Any] = {"class_names": list(names), "shape": list(train.inputs.shape[1:])}
    if train.layout is Layout.IMAGE:
        return known
    chosen = train.inputs[parts.train].astype(np.float64)
    mean, std = fit_scaler(chosen.reshape(-1, chosen.shape[-1]))
    return known | {"mean": mean.tolist(), "std": std.tolist()}


def _all(samples: _Samples) -> NDArray[np.int64]:
    return np.arange(len(samples.labels))


def _spec(train: _Samples, names: tuple[str, ...]) -> DataSpec:
    return DataSpec(
        layout=train.layout,
        task=Task.CLASSIFICATION,
        input_shape=train.inputs.shape[1:],
        num_outputs=len(names),
        class_names=names,
    )


def _split(
    samples: _Samples, codes: NDArray[np.int64], rows: NDArray[np.int64], known: Mapping[str, Any]
) -> TensorSplit:
    inputs = samples.inputs[rows]
    if list(inputs.shape[1:]) != known["shape"]:
        raise DataError(
            f"{samples.where} belongs to samples of shape {list(inputs.shape[1:])}, but the training samples have the shape {known['shape']}. "
            "All samples need one shape."
        )
    if samples.layout is not Layout.IMAGE:
        inputs = ((inputs - np.array(known["mean"])) / np.array(known["std"])).astype(np.float32)
    return TensorSplit(torch.from_numpy(inputs), torch.from_numpy(codes[rows]), torch.from_numpy(rows))
