"""Encodes the columns of a table as numbers: standard scores, missing indicators, one-hot categories.

Invariant: an encoding is a plain dictionary learned from training rows alone; a category it does not know is
all zeros. Numeric: (value - mean) / std, a missing value is the median, and where training values are missing
a second entry says so. Categorical: one entry per category, a missing cell being a category of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats.csv_file import MISSING, CsvFile, is_number, numbers, numbers_or_none
from ptrun.data.partition import Indices
from ptrun.errors import DataError, join_words

Encoding = Mapping[str, Any]
STRAY_SHARE = 0.1  # of a column's cells that may be texts before it is taken to be of texts


def fit_columns(
    file: CsvFile,
    names: Sequence[str],
    train: Indices,
    *,
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    max_categories: int = 100,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return an encoding for each useful column of `names`, and sentences about what was found.

    A column is numeric when all its cells are numbers (or missing), unless it is listed. Columns that hold one value,
    count the rows, or hold nearly as many texts as rows are left out, unless they are listed.
    Raises DataError naming row and column for a text in a column that is listed as numeric, or is but for a few cells.
    """
    encodings: list[dict[str, Any]] = []
    left_out: dict[str, list[str]] = {}
    for name in names:
        reason, encoding = _fit(file, name, train, name in numeric, name in categorical, max_categories)
        if encoding is None:
            left_out.setdefault(reason, []).append(name)
        else:
            encodings.append(encoding)
    notes = [*_found(encodings), *(f"Left out, {reason}: {join_words(found)}." for reason, found in left_out.items())]
    return encodings, notes


def encode_columns(file: CsvFile, encodings: Sequence[Encoding], setting: str) -> NDArray[np.float32]:
    """Return the features [N, F] of a file. Raises DataError for an absent column or a text among numbers."""
    blocks = [
        (_encode_numeric if encoding["kind"] == "numeric" else _encode_categorical)(
            file.column(encoding["name"], setting), encoding, file
        )
        for encoding in encodings
    ]
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((len(file), 0), np.float32)


def feature_names(encodings: Sequence[Encoding]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the name of each feature, and how many features each column takes."""
    groups = [_entries(encoding) for encoding in encodings]
    return tuple(name for group in groups for name in group), tuple(map(len, groups))


def binary_features(encodings: Sequence[Encoding]) -> tuple[int, ...]:
    """Return the positions of the features that are 0 or 1: categories, and marks of missing numbers."""
    binary = [
        encoding["kind"] == "categorical" or i > 0 for encoding in encodings for i in range(len(_entries(encoding)))
    ]
    return tuple(i for i, is_binary in enumerate(binary) if is_binary)


def _fit(
    file: CsvFile, name: str, train: Indices, numeric: bool, categorical: bool, max_categories: int
) -> tuple[str, dict[str, Any] | None]:
    cells = file.columns[name]
    if numeric:
        values: NDArray[np.float64] | None = numbers(cells, file.rows, file.source, name)
    else:
        values = None if categorical else numbers_or_none(cells)
        if values is None and not categorical:
            _refuse_stray_text(file, name)
    if values is not None:
        if not numeric and len(values) > 2 and _counts_rows(values):
            return "they count the rows", None
        return _fit_numeric(name, values[train])
    return _fit_categorical(name, [cells[i] for i in train], categorical, max_categories)


def _refuse_stray_text(file: CsvFile, name: str) -> None:
    """Raise DataError for a text in a column that is otherwise of numbers: a mistake in the file, most likely."""
    cells = [(cell, row) for cell, row in zip(file.columns[name], file.rows, strict=True) if cell not in MISSING]
    texts = [(cell, row) for cell, row in cells if not is_number(cell)]
    if len(cells) < 20 or len(texts) > STRAY_SHARE * len(cells):
        return
    cell, row = texts[0]
    raise DataError(
        f"{file.source}, row {row}, column '{name}': '{cell[:60]}' is not a number, but {len(cells) - len(texts)} of {len(cells)} "
        f"cells of that column are. Correct it, or say what the column is: dataset.categorical=[{name}] or dataset.ignore=[{name}]."
    )


def _counts_rows(values: NDArray[np.float64]) -> bool:
    return bool(np.all(np.diff(values) == 1))


def _fit_numeric(name: str, values: NDArray[np.float64]) -> tuple[str, dict[str, Any] | None]:
    present = values[~np.isnan(values)]
    if len(present) == 0 or present.min() == present.max():
        return "one value only in the training rows", None
    return "", {
        "name": name,
        "kind": "numeric",
        "mean": float(present.mean()),
        "std": float(present.std()) or 1.0,
        "median": float(np.median(present)),
        "missing": len(values) - len(present),
    }


def _fit_categorical(
    name: str, cells: Sequence[str], listed: bool, max_categories: int
) -> tuple[str, dict[str, Any] | None]:
    counts = Counter("" if cell in MISSING else cell for cell in cells)
    if len(counts) < 2:
        return "one value only in the training rows", None
    if not listed and len(cells) >= 20 and len(counts) > 0.9 * len(cells):
        return "nearly every row has a text of its own", None
    missing = counts.pop("", 0)
    common = sorted(sorted(counts), key=lambda category: -counts[category])[:max_categories]
    return "", {
        "name": name,
        "kind": "categorical",
        "categories": sorted(common),
        "other": len(counts) - len(common),
        "missing": missing,
    }


def _encode_numeric(cells: Sequence[str], encoding: Encoding, file: CsvFile) -> NDArray[np.float32]:
    values = numbers(cells, file.rows, file.source, encoding["name"])
    missing = np.isnan(values)
    scores = (np.where(missing, encoding["median"], values) - encoding["mean"]) / encoding["std"]
    return np.column_stack([scores, missing] if encoding["missing"] else [scores]).astype(np.float32)


def _encode_categorical(cells: Sequence[str], encoding: Encoding, file: CsvFile) -> NDArray[np.float32]:
    entry = {category: i for i, category in enumerate(encoding["categories"])}
    # Cells that training never held stay all zeros, unless rare categories share an entry.
    other = len(entry) if encoding["other"] else -1
    missing = len(entry) + bool(encoding["other"]) if encoding["missing"] else -1
    codes = np.array([missing if cell in MISSING else entry.get(cell, other) for cell in cells], np.int64)
    one_hot = np.zeros((len(cells), len(_entries(encoding))), np.float32)
    known = np.flatnonzero(codes >= 0)
    one_hot[known, codes[known]] = 1
    return one_hot


def _entries(encoding: Encoding) -> list[str]:
    name = encoding["name"]
    if encoding["kind"] == "numeric":
        return [name, f"{name} missing"] if encoding["missing"] else [name]
    shared = [f"{name}=(other)"] if encoding["other"] else []
    return [
        *(f"{name}={c}" for c in encoding["categories"]),
        *shared,
        *([f"{name}=(missing)"] if encoding["missing"] else []),
    ]


def _found(encodings: Sequence[Encoding]) -> list[str]:
    numeric = [e for e in encodings if e["kind"] == "numeric"]
    categorical = [e for e in encodings if e["kind"] == "categorical"]
    notes = []
    if numeric:
        notes.append(f"Numeric columns ({len(numeric)}): {join_words(e['name'] for e in numeric)}.")
    if categorical:
        shown = join_words(f"{e['name']} ({len(e['categories'])})" for e in categorical)
        notes.append(f"Categorical columns, with their number of categories ({len(categorical)}): {shown}.")
    if missing := [f"{e['name']} ({e['missing']})" for e in numeric if e["missing"]]:
        notes.append(
            f"Missing numbers in training rows, set to the median and marked by an extra entry: {join_words(missing)}."
        )
    if missing := [f"{e['name']} ({e['missing']})" for e in categorical if e["missing"]]:
        notes.append(f"Missing texts in training rows are a category of their own: {join_words(missing)}.")
    if rare := [f"{e['name']} ({e['other']})" for e in categorical if e["other"]]:
        notes.append(f"The rarest categories share one entry, also with unknown ones, in: {join_words(rare)}.")
    return notes
