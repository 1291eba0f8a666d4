"""Reads labelled sequences: `.ts` files of the UCR and sktime archives, and CSV files with one sequence a row.

Invariant: a sequence keeps its own length here; nothing is padded, scaled or filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptrun.data.features.labels import Floats
from ptrun.data.formats.csv_file import MISSING, numbers, read_csv
from ptrun.errors import DataError, join_words

LABEL_NAMES = ("label", "class", "target")


@dataclass(frozen=True)
class Sequences:
    """Values [steps, channels] of each sequence, its label, and its row in the file."""

    source: str
    values: list[Floats]
    labels: list[str]
    rows: list[int]


def read_sequences(path: Path, label_column: str, header: bool) -> Sequences:
    """Read a .ts file, or any other file as a wide CSV. Raises DataError naming the row of what does not fit."""
    found = _read_ts(path) if path.suffix.lower() == ".ts" else _read_wide(path, label_column, header)
    if not found.values:
        raise DataError(f"{path} is empty: it has no sequences.")
    return found


def _read_ts(path: Path) -> Sequences:
    """Format: https://www.sktime.net/en/stable/api_reference/file_specifications/ts.html."""
    found, in_data, channels = Sequences(str(path), [], [], []), False, 0
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read as text: {error}.") from error
    for row, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        if not in_data:
            in_data = _header_ends(line, path, row)
            continue
        *dimensions, label = line.split(":")
        channels = channels or len(dimensions)
        if not label or len(dimensions) != channels or not channels:
            raise DataError(
                f"{path}, row {row}: it has {len(dimensions)} channels and the label '{label[:40]}'; {channels or 1} channels and a label are needed."
            )
        found.values.append(_channels(dimensions, path, row))
        found.labels.append(label.strip())
        found.rows.append(row)
    if not in_data:
        raise DataError(f"{path} has no @data line, so it is not a .ts file.")
    return found


def _header_ends(line: str, path: Path, row: int) -> bool:
    key, *values = line.lower().split()
    if not key.startswith("@"):
        raise DataError(f"{path}, row {row}: '{line[:40]}' stands before the @data line, so this is not a .ts file.")
    if key == "@timestamps" and values[:1] == ["true"]:
        raise DataError(f"{path}: sequences with time stamps are not supported. Write the values alone, at even steps.")
    if key == "@targetlabel" or (key == "@classlabel" and values[:1] == ["false"]):
        raise DataError(f"{path} has no class labels ({line[:40]}); this data set is for classification.")
    return key == "@data"


def _channels(dimensions: Sequence[str], path: Path, row: int) -> Floats:
    columns = [
        _steps(cells.split(","), path, row, f"channel {i + 1}" if len(dimensions) > 1 else "")
        for i, cells in enumerate(dimensions)
    ]
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise DataError(
            f"{path}, row {row}: its channels have different lengths ({join_words(map(str, sorted(lengths)))})."
        )
    return np.column_stack(columns)


def _steps(cells: Sequence[str], path: Path, row: int, channel: str) -> Floats:
    names = f"{channel} value" if channel else "value"
    try:
        values = np.array(cells, dtype=np.str_).astype(np.float64)
    except ValueError:
        values = np.array([np.nan])
    if np.isfinite(values).all():
        return values
    for i, cell in enumerate(cells):
        value = numbers([cell.strip()], [row], str(path), f"{names} {i + 1}")
        if np.isnan(value[0]):
            raise DataError(
                f"{path}, row {row}, {names} {i + 1}: the value is missing. Fill it, or remove the sequence."
            )
    return values


def _read_wide(path: Path, label_column: str, header: bool) -> Sequences:
    file = read_csv(path, header=header)
    name = _label_name(list(file.columns), label_column, header, str(path))
    labels = file.column(name, "dataset.label_column")
    if unlabelled := [row for label, row in zip(labels, file.rows, strict=True) if label in MISSING]:
        raise DataError(f"{path}, row {unlabelled[0]}: the label (column '{name}') is missing.")
    steps = [column for column in file.columns if column != name]
    if not steps:
        raise DataError(f"{path} has a label column and no values beside it.")
    table = np.column_stack([numbers(file.columns[column], file.rows, file.source, column) for column in steps])
    values = [_trimmed(line, path, row, steps) for line, row in zip(table, file.rows, strict=True)]
    return Sequences(str(path), values, labels, file.rows)


def _label_name(columns: Sequence[str], wanted: str, header: bool, source: str) -> str:
    if wanted != "auto":
        return wanted
    if not header:
        return columns[0]
    found = [name for name in columns if name.lower() in LABEL_NAMES]
    if len(found) != 1:
        raise DataError(
            f"{source} has {len(found) or 'no'} columns called {', '.join(LABEL_NAMES)}. Name the label in dataset.label_column; "
            "for a file without a header line, set dataset.header=false (its first column is the label then)."
        )
    return found[0]


def _trimmed(line: Floats, path: Path, row: int, steps: Sequence[str]) -> Floats:
    known = np.flatnonzero(~np.isnan(line))
    if len(known) == 0:
        raise DataError(f"{path}, row {row}: it has no values.")
    gaps = np.flatnonzero(np.isnan(line[: known[-1]]))  # Empty cells at the end are those of a shorter sequence.
    if len(gaps):
        raise DataError(
            f"{path}, row {row}, column '{steps[gaps[0]]}': the value is missing. Fill it, or remove the row."
        )
    return line[: known[-1] + 1, None]
