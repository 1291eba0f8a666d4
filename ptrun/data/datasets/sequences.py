"""The `sequences` data set: labeled sequences of one or more channels, for classification.

All sequences get one length, and channels are standardized with the training sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.division import divide
from ptrun.data.duplicates import Identified, keys_of_bytes
from ptrun.data.features.labels import class_names, encode, fit_scaler, labelled, notes_on_classes, tidy_numbers
from ptrun.data.features.wide_sequences import read_sequences
from ptrun.data.formats.csv_dialect import Header, header_setting
from ptrun.data.formats.paths import existing_file
from ptrun.data.formats.ts_file import Sequences
from ptrun.data.partition import Indices, Parts, record
from ptrun.data.samples import Given, Samples
from ptrun.data.split_settings import DEFAULT_SPLIT, SplitSettings
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError, DataError
from ptrun.registry import datasets
from ptrun.rng import Floats
from ptrun.spec import DataSpec, Layout, Task


@datasets.register
def sequences(
    *,
    path: str,
    fitted: Mapping[str, Any] | None = None,
    test_path: str | None = None,
    label_column: str = "auto",
    header: Header = "auto",
    delimiter: str = "auto",
    decimal: str = "auto",
    id_column: str | None = "auto",
    length: str | int = "auto",
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """Sequences of a .ts file, or of a CSV file in wide or long form; `test_path` holds the test part.

    Shorter sequences get zeros (the mean) in front, so that the last time step is a measured one; longer ones lose
    their beginning. Where the lengths are unequal, a channel of its own marks what is padding. Raises DataError naming
    the row of a value that is missing or not a number.
    """
    if isinstance(length, str) and length != "auto":
        raise ConfigError(f"dataset.length is '{length}'; it can be auto or a number of time steps.")
    form = (label_column, header_setting(header, fitted), delimiter, decimal, id_column)
    source = read_sequences(existing_file(path, "dataset.path"), *form)
    others = [read_sequences(existing_file(test_path, "dataset.test_path"), *form)] if test_path else []
    source, *others = (_labelled(each, fitted["class_names"] if fitted else ()) for each in (source, *others))
    names = fitted["class_names"] if fitted else class_names(tidy_numbers(source.labels), source.source)
    codes = _codes(source, names)
    parts = _divide(source, others, codes, names, splitting)
    fitted = dict(fitted) if fitted else _fit_to_training([source, *others], parts.train, names, length)
    rows = {"train": parts.train, "val": parts.val, "test": parts.test}
    cuts = {part: (source, codes, part_rows) for part, part_rows in rows.items()}
    for other in others:
        cuts["test"] = (other, _codes(other, names), np.arange(len(other.labels)))
    splits = {part: _split(*cut, fitted) for part, cut in cuts.items()}
    classes = notes_on_classes(tidy_numbers(source.labels, names), names)
    by_part = [(part, rows, part_codes[rows]) for part, (_, part_codes, rows) in cuts.items()]
    return Data(
        spec=_spec(fitted),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted=fitted,
        notes=(*classes, *parts.notes, *_notes([source, *others], fitted["length"], _has_padding_channel(fitted))),
        record=record(parts, by_part, names, splitting),
    )


def _labelled(source: Sequences, known_names: Sequence[str]) -> Sequences:
    """The sequences that have a label, with a note on the others."""
    kept, notes = labelled(source.labels, known_names)
    labels, rows = [source.labels[i] for i in kept], [source.rows[i] for i in kept]
    values = [source.values[i] for i in kept]
    return replace(source, values=values, labels=labels, rows=rows, notes=(*source.notes, *notes))


def _divide(
    source: Sequences,
    others: Sequence[Sequences],
    codes: NDArray[np.int64],
    names: Sequence[str],
    splitting: SplitSettings,
) -> Parts:
    """The parts, with notes on sequences that are the same."""
    samples = Samples(
        count=len(codes),
        noun="sequences",
        name=lambda position: f"row {source.rows[position]}",
        classes=codes,
        class_names=names,
        targets=codes,
        keys=_identified(source, codes).keys,
        given={"test": Given("dataset.test_path", _identified(others[0], _codes(others[0], names)))} if others else {},
    )
    return divide(samples, splitting)


def _identified(source: Sequences, codes: NDArray[np.int64]) -> Identified:
    keys = keys_of_bytes(np.ascontiguousarray(values + 0.0).tobytes() for values in source.values)
    return Identified(keys, lambda position: f"row {source.rows[position]} of {source.source}", codes)


def _fit_to_training(
    sources: Sequence[Sequences], train: Indices, names: Sequence[str], length: str | int
) -> dict[str, Any]:
    """What is learned from the training samples, for the checkpoint: classes, scaling, and the common length.

    sources: that with the training samples, then the others; a short sequence in any of them asks for padding.
    """
    values = [sources[0].values[i] for i in train]
    mean, std = fit_scaler(np.concatenate(values))
    num_steps = max(map(len, values)) if isinstance(length, str) else length
    learned = {"class_names": list(names), "mean": mean.tolist(), "std": std.tolist(), "length": num_steps}
    if any(len(values) < num_steps for source in sources for values in source.values):
        learned["padding_channel"] = True
    # Of a .ts file, nothing is known about the header of other files.
    has_header = "auto" if sources[0].has_header is None else sources[0].has_header
    return learned if has_header is True else {**learned, "header": has_header}


def _codes(source: Sequences, names: Sequence[str]) -> NDArray[np.int64]:
    return encode(tidy_numbers(source.labels, names), names, source.source, source.rows)


def _spec(fitted: Mapping[str, Any]) -> DataSpec:
    return DataSpec(
        layout=Layout.SEQUENCE,
        task=Task.CLASSIFICATION,
        input_shape=(fitted["length"], _num_channels(fitted)),
        num_outputs=len(fitted["class_names"]),
        class_names=tuple(fitted["class_names"]),
        padding_channel=_has_padding_channel(fitted),
    )


def _has_padding_channel(fitted: Mapping[str, Any]) -> bool:
    """Whether lengths were unequal when the model was trained. Checkpoints of earlier versions have zeros alone."""
    return bool(fitted.get("padding_channel", False))


def _num_channels(fitted: Mapping[str, Any]) -> int:
    return len(fitted["mean"]) + _has_padding_channel(fitted)


def _split(source: Sequences, codes: NDArray[np.int64], rows: Indices, fitted: Mapping[str, Any]) -> TensorSplit:
    inputs = np.stack([prepared(source.values[i], fitted, source, i) for i in rows]) if len(rows) else _none(fitted)
    file_rows = torch.tensor([source.rows[i] for i in rows], dtype=torch.int64)
    return TensorSplit(torch.from_numpy(inputs), torch.from_numpy(codes[rows]), file_rows)


def prepared(values: Floats, fitted: Mapping[str, Any], source: Sequences, index: int) -> NDArray[np.float32]:
    """One sequence as the model receives it [length, channels]. Raises DataError for another number of channels.

    Steps before its beginning are zeros, with a 1 in the padding channel where there is one.
    """
    mean, std = np.array(fitted["mean"]), np.array(fitted["std"])
    if values.shape[1] != len(mean):
        raise DataError(
            f"{source.source}, row {source.rows[index]}: it has {values.shape[1]} channels, but the training sequences "
            f"have {len(mean)}."
        )
    steps = np.zeros((fitted["length"], _num_channels(fitted)), np.float32)
    end = values[-fitted["length"] :]
    begin = len(steps) - len(end)
    steps[begin:, : len(mean)] = (end - mean) / std
    if _has_padding_channel(fitted):
        steps[:begin, -1] = 1.0
    return steps


def _none(fitted: Mapping[str, Any]) -> NDArray[np.float32]:
    return np.zeros((0, fitted["length"], _num_channels(fitted)), np.float32)


def _notes(sources: Sequence[Sequences], length: int, has_padding_channel: bool) -> list[str]:
    lengths = np.array([len(values) for source in sources for values in source.values])
    padded, trimmed = int((lengths < length).sum()), int((lengths > length).sum())
    notes = [note for source in sources for note in source.notes]
    notes.append(f"Sequences of {length} time steps.")
    if padded:
        use = "which the model passes over or sees marked" if has_padding_channel else "which is the mean"
        notes.append(f"{padded} shorter sequences are padded in front with zeros, {use}.")
    if trimmed:
        notes.append(f"{trimmed} longer sequences keep their last {length} time steps only.")
    return notes
