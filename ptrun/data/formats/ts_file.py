"""Reads labeled sequences: `.ts` files of the UCR and sktime archives, and CSV files with one sequence in each row.

Each sequence keeps its own length; nothing is padded, scaled or filled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptrun.data.formats.column import MISSING
from ptrun.data.formats.csv_file import read_csv
from ptrun.data.formats.number_form import numbers
from ptrun.errors import DataError, join_words
from ptrun.rng import Floats

LABEL_NAMES = ("label", "class", "target")


@dataclass(frozen=True)
class Sequences:
    """Values [time steps, channels] of each sequence, its label, and its row in the file."""

    source: str
    values: list[Floats]
    labels: list[str]
    rows: list[int]


def read_sequences(path: Path, label_column: str, header: bool) -> Sequences:
    """Read a .ts file, or any other file as a wide CSV. Raises DataError naming the row of what does not fit."""
    sequences = _read_ts(path) if path.suffix.lower() == ".ts" else _read_wide(path, label_column, header)
    if not sequences.values:
        raise DataError(f"{path} is empty: it has no sequences.")
    return sequences


def _read_ts(path: Path) -> Sequences:
    """Format: https://www.sktime.net/en/stable/api_reference/file_specifications/ts.html."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read as text: {error}.") from error
    sequences = Sequences(str(path), [], [], [])
    in_data, num_channels = False, 0
    for row, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        if not in_data:
            in_data = _header_ends(line, path, row)
            continue
        *channels, label = line.split(":")
        num_channels = num_channels or len(channels)
        if not label or len(channels) != num_channels or not num_channels:
            raise DataError(
                f"{path}, row {row}: it has {len(channels)} channels and the label '{label[:40]}'; "
                f"{num_channels or 1} channels and a label are needed."
            )
        sequences.values.append(_values(channels, path, row))
        sequences.labels.append(label.strip())
        sequences.rows.append(row)
    if not in_data:
        raise DataError(f"{path} has no @data line, so it is not a .ts file.")
    return sequences


def _header_ends(line: str, path: Path, row: int) -> bool:
    """Whether a line of the header is its last. Raises DataError for files without class labels or with time stamps."""
    key, *values = line.lower().split()
    if not key.startswith("@"):
        raise DataError(f"{path}, row {row}: '{line[:40]}' stands before the @data line, so this is not a .ts file.")
    if key == "@timestamps" and values[:1] == ["true"]:
        raise DataError(
            f"{path}: sequences with time stamps are not supported. Write the values alone, at even time steps."
        )
    if key == "@targetlabel" or (key == "@classlabel" and values[:1] == ["false"]):
        raise DataError(f"{path} has no class labels ({line[:40]}); this data set is for classification.")
    return key == "@data"


def _values(channels: Sequence[str], path: Path, row: int) -> Floats:
    """The values [time steps, channels] of a line."""
    columns = [
        _channel_values(cells.split(","), path, row, f"channel {i + 1}" if len(channels) > 1 else "")
        for i, cells in enumerate(channels)
    ]
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise DataError(
            f"{path}, row {row}: its channels have different lengths ({join_words(map(str, sorted(lengths)))})."
        )
    return np.column_stack(columns)


def _channel_values(cells: Sequence[str], path: Path, row: int, channel: str) -> Floats:
    value_name = f"{channel} value" if channel else "value"
    try:
        values = np.array(cells, dtype=np.str_).astype(np.float64)
    except ValueError:
        values = np.array([np.nan])
    if np.isfinite(values).all():
        return values
    for i, cell in enumerate(cells):
        value = numbers([cell.strip()], [row], str(path), f"{value_name} {i + 1}")
        if np.isnan(value[0]):
            raise DataError(
                f"{path}, row {row}, {value_name} {i + 1}: the value is missing. Fill it, or remove the sequence."
            )
    return values


def _read_wide(path: Path, label_column: str, header: bool) -> Sequences:
    """A CSV file with one sequence in each row; empty cells at the end belong to shorter sequences."""
    file = read_csv(path, header=header)
    name = _label_name(list(file.columns), label_column, header, str(path))
    labels = file.column(name, "dataset.label_column")
    if unlabeled := [row for label, row in zip(labels, file.rows, strict=True) if label in MISSING]:
        raise DataError(f"{path}, row {unlabeled[0]}: the label (column '{name}') is missing.")
    columns = [column for column in file.columns if column != name]
    if not columns:
        raise DataError(f"{path} has a label column and no values beside it.")
    table = np.column_stack([numbers(file.columns[column], file.rows, file.source, column) for column in columns])
    values = [_trimmed(line, path, row, columns) for line, row in zip(table, file.rows, strict=True)]
    return Sequences(str(path), values, labels.texts(), list(file.rows))


def _label_name(columns: Sequence[str], label_column: str, header: bool, source: str) -> str:
    if label_column != "auto":
        return label_column
    if not header:
        return columns[0]
    candidates = [name for name in columns if name.lower() in LABEL_NAMES]
    if len(candidates) != 1:
        raise DataError(
            f"{source} has {len(candidates) or 'no'} columns called {', '.join(LABEL_NAMES)}. Name the label in "
            "dataset.label_column; for a file without a header line, set dataset.header=false (its first column is "
            "the label then)."
        )
    return candidates[0]


def _trimmed(values: Floats, path: Path, row: int, columns: Sequence[str]) -> Floats:
    """The values [time steps, 1] without the empty cells at the end. Raises DataError for a gap before them."""
    present = np.flatnonzero(~np.isnan(values))
    if len(present) == 0:
        raise DataError(f"{path}, row {row}: it has no values.")
    gaps = np.flatnonzero(np.isnan(values[: present[-1]]))
    if len(gaps):
        raise DataError(
            f"{path}, row {row}, column '{columns[gaps[0]]}': the value is missing. Fill it, or remove the row."
        )
    return values[: present[-1] + 1, None]
