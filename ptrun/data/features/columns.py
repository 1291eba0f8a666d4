"""Encodes the columns of a table as numbers: standard scores, marks of missing values, one-hot categories.

An encoding is a plain dictionary that is learned from training rows alone. A numeric column becomes
(value - mean) / std; a missing value is set to the median, and if training rows miss values, a second feature marks
them. A categorical column becomes one feature for each category, of which missing cells are one; a category that
is not in the training rows is all zeros.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats.csv_file import MISSING, CsvFile, is_number, numbers, numbers_or_none
from ptrun.data.partition import Indices
from ptrun.errors import DataError, join_words

Encoding = Mapping[str, Any]
STRAY_SHARE = 0.1  # largest share of texts in a column that is still taken for one of numbers, with mistakes in it
MIN_CELLS = 20  # below so many cells, a column is too short to guess what it is


@dataclass(frozen=True)
class ColumnSettings:
    """The settings of a table that say what its columns are."""

    numeric: Sequence[str] = ()
    categorical: Sequence[str] = ()
    max_categories: int = 100
    ignore: Sequence[str] = ()


def fit_columns(
    file: CsvFile, names: Sequence[str], train: Indices, settings: ColumnSettings
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return an encoding for each useful column of `names`, and notes about what was found.

    A column is numeric when all its cells are numbers (or missing), unless it is listed. Columns that hold one value,
    count the rows, or hold nearly as many texts as rows are left out, unless they are listed.
    Raises DataError naming row and column for a text in a column that is listed as numeric, or in one with few texts.
    """
    encodings: list[dict[str, Any]] = []
    left_out: dict[str, list[str]] = {}
    for name in names:
        encoding = _fit_encoding(file, name, train, settings)
        if isinstance(encoding, str):
            left_out.setdefault(encoding, []).append(name)
        else:
            encodings.append(encoding)
    reasons = [f"Left out, {reason}: {join_words(columns)}." for reason, columns in left_out.items()]
    return encodings, [*_notes(encodings), *reasons]


def encode_columns(file: CsvFile, encodings: Sequence[Encoding], setting: str) -> NDArray[np.float32]:
    """Return the features [N, F] of a file. Raises DataError for an absent column or a text among numbers."""
    blocks = [
        (_encode_numeric if encoding["kind"] == "numeric" else _encode_categorical)(
            file.column(encoding["name"], setting), encoding, file
        )
        for encoding in encodings
    ]
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((len(file), 0), np.float32)


def unusual_cells(file: CsvFile, encodings: Sequence[Encoding], features: NDArray[np.float32]) -> dict[str, int]:
    """What the rows hold that training rows did not, in words, and the number of rows with it.

    These are unknown categories, and numbers outside of the range in training (if the encoding has it).
    features: of these rows, as `encode_columns` gives them.
    """
    counts: dict[str, int] = {}
    position = 0
    for encoding in encodings:
        name, cells = encoding["name"], file.columns[encoding["name"]]
        if encoding["kind"] == "categorical":
            known = {*encoding["categories"], *MISSING}
            kind = "a rare or unknown category" if encoding["other"] else "a category that training rows lack"
            counts[f"column '{name}': {kind}"] = sum(cell not in known for cell in cells)
        elif "min" in encoding:
            low, high = encoding["min"], encoding["max"]
            scores = features[:, position].astype(np.float64) * encoding["std"] + encoding["mean"]
            rounding = 1e-6 * max(abs(low), abs(high), high - low)  # of float32
            outside = int(((scores < low - rounding) | (scores > high + rounding)).sum())
            counts[f"column '{name}': a number outside of those in training ({low:g} to {high:g})"] = outside
        position += len(_feature_names(encoding))
    return {what: count for what, count in counts.items() if count}


def feature_names(encodings: Sequence[Encoding]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the name of each feature, and the number of features of each column."""
    groups = [_feature_names(encoding) for encoding in encodings]
    return tuple(name for group in groups for name in group), tuple(map(len, groups))


def binary_features(encodings: Sequence[Encoding]) -> tuple[int, ...]:
    """Return the positions of the features that are 0 or 1: categories, and marks of missing numbers."""
    is_binary = [
        encoding["kind"] == "categorical" or i > 0
        for encoding in encodings
        for i in range(len(_feature_names(encoding)))
    ]
    return tuple(i for i, binary in enumerate(is_binary) if binary)


def standardization(encodings: Sequence[Encoding]) -> tuple[list[float], list[float]]:
    """Return the mean and standard deviation by which each feature is scaled; 0 and 1 for those that are 0 or 1."""
    means: list[float] = []
    stds: list[float] = []
    for encoding in encodings:
        scaled = [(encoding["mean"], encoding["std"])] if encoding["kind"] == "numeric" else []
        pairs = [*scaled, *[(0.0, 1.0)] * (len(_feature_names(encoding)) - len(scaled))]
        means += [mean for mean, _ in pairs]
        stds += [std for _, std in pairs]
    return means, stds


def _fit_encoding(file: CsvFile, name: str, train: Indices, settings: ColumnSettings) -> dict[str, Any] | str:
    """The encoding of a column, or the reason to leave it out."""
    cells = file.columns[name]
    if name in settings.numeric:
        return _fit_numeric(name, numbers(cells, file.rows, file.source, name)[train])
    values = None if name in settings.categorical else numbers_or_none(cells)
    if values is not None:
        if len(values) > 2 and _counts_rows(values):
            return "they count the rows"
        return _fit_numeric(name, values[train])
    train_cells = [cells[i] for i in train]
    if name not in settings.categorical:
        _check_no_stray_text(file, name)
        if _is_free_text(train_cells):
            return "nearly every row has a text of its own"
    return _fit_categorical(name, train_cells, settings.max_categories)


def _check_no_stray_text(file: CsvFile, name: str) -> None:
    """Raise DataError for a text in a column that otherwise holds numbers: most likely a mistake in the file."""
    cells = [(cell, row) for cell, row in zip(file.columns[name], file.rows, strict=True) if cell not in MISSING]
    texts = [(cell, row) for cell, row in cells if not is_number(cell)]
    if len(cells) < MIN_CELLS or len(texts) > STRAY_SHARE * len(cells):
        return
    cell, row = texts[0]
    raise DataError(
        f"{file.source}, row {row}, column '{name}': '{cell[:60]}' is not a number, but {len(cells) - len(texts)} of "
        f"{len(cells)} cells of that column are. Correct it, or say what the column is: "
        f"dataset.categorical=[{name}] or dataset.ignore=[{name}]."
    )


def _counts_rows(values: NDArray[np.float64]) -> bool:
    return bool(np.all(np.diff(values) == 1))


def _is_free_text(cells: Sequence[str]) -> bool:
    """Whether more than nine of ten cells differ, as names and descriptions do."""
    distinct = {"" if cell in MISSING else cell for cell in cells}
    return len(cells) >= MIN_CELLS and len(distinct) > 0.9 * len(cells)


def _fit_numeric(name: str, values: NDArray[np.float64]) -> dict[str, Any] | str:
    present = values[~np.isnan(values)]
    if len(present) == 0 or present.min() == present.max():
        return "one value only in the training rows"
    return {
        "name": name,
        "kind": "numeric",
        "mean": float(present.mean()),
        "std": float(present.std()) or 1.0,
        "median": float(np.median(present)),
        "missing": len(values) - len(present),
        "min": float(present.min()),
        "max": float(present.max()),
    }


def _fit_categorical(name: str, cells: Sequence[str], max_categories: int) -> dict[str, Any] | str:
    counts = Counter("" if cell in MISSING else cell for cell in cells)
    if len(counts) < 2:
        return "one value only in the training rows"
    missing = counts.pop("", 0)
    common = sorted(sorted(counts), key=lambda category: -counts[category])[:max_categories]
    return {
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
    position = {category: i for i, category in enumerate(encoding["categories"])}
    # Categories that are not in the training rows stay all zeros, unless rare categories share a feature.
    other = len(position) if encoding["other"] else -1
    missing = len(position) + bool(encoding["other"]) if encoding["missing"] else -1
    codes = np.array([missing if cell in MISSING else position.get(cell, other) for cell in cells], np.int64)
    one_hot = np.zeros((len(cells), len(_feature_names(encoding))), np.float32)
    rows = np.flatnonzero(codes >= 0)
    one_hot[rows, codes[rows]] = 1
    return one_hot


def _feature_names(encoding: Encoding) -> list[str]:
    """The names of the features that a column becomes."""
    name = encoding["name"]
    if encoding["kind"] == "numeric":
        return [name, f"{name} missing"] if encoding["missing"] else [name]
    return [
        *(f"{name}={category}" for category in encoding["categories"]),
        *([f"{name}=(other)"] if encoding["other"] else []),
        *([f"{name}=(missing)"] if encoding["missing"] else []),
    ]


def _notes(encodings: Sequence[Encoding]) -> list[str]:
    numeric = [encoding for encoding in encodings if encoding["kind"] == "numeric"]
    categorical = [encoding for encoding in encodings if encoding["kind"] == "categorical"]
    notes = []
    if numeric:
        notes.append(f"Numeric columns ({len(numeric)}): {join_words(encoding['name'] for encoding in numeric)}.")
    if categorical:
        columns = join_words(f"{encoding['name']} ({len(encoding['categories'])})" for encoding in categorical)
        notes.append(f"Categorical columns, with their number of categories ({len(categorical)}): {columns}.")
    if missing := _with_counts(numeric, "missing"):
        notes.append(
            "Missing numbers in training rows, set to the median and marked by an extra feature: "
            f"{join_words(missing)}."
        )
    if missing := _with_counts(categorical, "missing"):
        notes.append(f"Missing texts in training rows are a category of their own: {join_words(missing)}.")
    if rare := _with_counts(categorical, "other"):
        notes.append(f"The rarest categories share one feature, also with unknown ones, in: {join_words(rare)}.")
    return notes


def _with_counts(encodings: Sequence[Encoding], key: str) -> list[str]:
    """Name and count of the columns whose count is not zero."""
    return [f"{encoding['name']} ({encoding[key]})" for encoding in encodings if encoding[key]]
