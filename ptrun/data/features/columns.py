"""Encodes the columns of a table as numbers: standard scores, marks of missing values, one-hot categories, calendars.

An encoding is a plain dictionary that is learned from training rows alone, and says how the cells are written. A column
of numbers becomes (value - mean) / std; a missing value is set to the median, and if training rows miss values, a
second feature marks them. A column of categories becomes one feature for each category, of which missing cells are one;
a category that is not in the training rows is all zeros. `dates.py` encodes dates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features import dates
from ptrun.data.features.column_report import report
from ptrun.data.features.dates import ONE_VALUE
from ptrun.data.features.kinds import ColumnKind, ColumnSettings, decide_kinds, read_numbers
from ptrun.data.features.labels import fit_column
from ptrun.data.features.strays import MIN_CELLS
from ptrun.data.formats.column import MISSING, Column
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.number_form import PLAIN, form_of
from ptrun.data.partition import Indices

Encoding = Mapping[str, Any]
BLOCK_COLUMNS = 16  # encoded at a time
BLOCK_ROWS = 1024  # put in their place at a time: these and the columns stay in the CPU's cache


def fit_columns(
    file: CsvFile,
    names: Sequence[str],
    train: Indices,
    settings: ColumnSettings,
    kinds: Sequence[ColumnKind] | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return an encoding for each useful column of `names`, and notes about what was found.

    kinds: what the columns are, when it was decided on more rows than these. Columns that hold one value, count the
    rows, or hold nearly as many texts as rows are left out, unless the settings name them.
    Raises DataError naming row and column for a text in a column that is listed as numeric, or in one with few texts.
    """
    encodings: list[dict[str, Any]] = []
    left_out: dict[str, list[str]] = {}
    kinds = kinds or decide_kinds(file, names, settings)
    for kind in kinds:
        encoding = _fit_encoding(file, kind, train, settings)
        if isinstance(encoding, str):
            left_out.setdefault(encoding, []).append(kind.name)
        else:
            encodings.append(encoding)
    return encodings, report(encodings, kinds, left_out)


def encode_columns(file: CsvFile, encodings: Sequence[Encoding], setting: str) -> NDArray[np.float32]:
    """Return the features [N, F] of a file. Raises DataError for an absent column or a text among numbers."""
    for encoding in encodings:
        file.column(encoding["name"], setting)
    widths = [len(feature_names_of(encoding)) for encoding in encodings]
    ends = np.cumsum([0, *widths]).tolist()
    features = np.empty((len(file), ends[-1]), np.float32)
    for first in range(0, len(encodings), BLOCK_COLUMNS):
        last = min(first + BLOCK_COLUMNS, len(encodings))
        block = _encode_block(file, encodings[first:last], widths[first:last])
        for row in range(0, len(file), BLOCK_ROWS):
            features[row : row + BLOCK_ROWS, ends[first] : ends[last]] = block[row : row + BLOCK_ROWS]
    return features


def _encode_block(file: CsvFile, encodings: Sequence[Encoding], widths: Sequence[int]) -> NDArray[np.float32]:
    """The features of some columns, each in one piece of memory: single numbers far apart are slow to write."""
    block = np.zeros((len(file), sum(widths)), np.float32, order="F")
    start = 0
    for encoding, width in zip(encodings, widths, strict=True):
        _ENCODERS[encoding["kind"]](file, encoding, block[:, start : start + width])
        start += width
    return block


def standardization(encodings: Sequence[Encoding]) -> tuple[list[float], list[float]]:
    """Return the mean and standard deviation by which each feature is scaled; 0 and 1 for those that are not scaled.

    Of a date, the number of days since 1970 is scaled.
    """
    means: list[float] = []
    stds: list[float] = []
    for encoding in encodings:
        scaled = [(encoding["mean"], encoding["std"])] if encoding["kind"] in ("numeric", "date") else []
        pairs = [*scaled, *[(0.0, 1.0)] * (len(feature_names_of(encoding)) - len(scaled))]
        means += [mean for mean, _ in pairs]
        stds += [std for _, std in pairs]
    return means, stds


def feature_names(encodings: Sequence[Encoding]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the name of each feature, and the number of features of each column."""
    groups = [feature_names_of(encoding) for encoding in encodings]
    return tuple(name for group in groups for name in group), tuple(map(len, groups))


def binary_features(encodings: Sequence[Encoding]) -> tuple[int, ...]:
    """Return the positions of the features that are 0 or 1: categories, and marks of missing numbers and dates."""
    is_binary = [
        encoding["kind"] == "categorical" or name == f"{encoding['name']} missing"
        for encoding in encodings
        for name in feature_names_of(encoding)
    ]
    return tuple(i for i, binary in enumerate(is_binary) if binary)


def unknown_categories(file: CsvFile, encodings: Sequence[Encoding]) -> dict[str, Counter[str]]:
    """Count the cells of each column whose category is not among those of the training rows: column → text → cells.

    Columns whose rare categories share a feature are left out: there, unknown ones are treated as rare.
    """
    unknown: dict[str, Counter[str]] = {}
    for encoding in encodings:
        if encoding["kind"] == "categorical" and not encoding["other"]:
            unknown[encoding["name"]] = unknown_in(file, encoding)
    return {name: counts for name, counts in unknown.items() if counts}


def unknown_in(file: CsvFile, encoding: Encoding) -> Counter[str]:
    """Count the cells of a column of categories that have none of the encoding and are not missing: text → cells."""
    known = {*_spellings(encoding["categories"]), *missing_texts(encoding)}
    return Counter({text: count for text, count in file[encoding["name"]].counts.items() if text not in known})


def missing_texts(encoding: Encoding) -> set[str]:
    """The texts that stand for a missing cell."""
    return {*MISSING, *encoding.get("missing_values", ())}


def _fit_encoding(file: CsvFile, kind: ColumnKind, train: Indices, settings: ColumnSettings) -> dict[str, Any] | str:
    """The encoding of a column, or the reason to leave it out."""
    name = kind.name
    if kind.kind == "index":
        return kind.reason
    encoding: dict[str, Any] | str
    if kind.kind == "date":
        encoding = dates.fit(file, name, kind.order, train, settings.missing_values)
    elif kind.kind == "number":
        values = read_numbers(file, name, kind.form, settings.missing_values)
        encoding = _fit_numeric(name, values[train])
        if isinstance(encoding, dict) and kind.form != PLAIN:
            encoding["form"] = kind.form.to_dict()
    else:
        cells = file[name].take(train)
        if name not in settings.categorical and is_free_text(cells):
            return "nearly every row has a text of its own"
        encoding = _fit_categorical(name, cells, settings)
    if isinstance(encoding, dict) and settings.missing_values:
        encoding["missing_values"] = list(settings.missing_values)
    return encoding


def is_free_text(cells: Column) -> bool:
    """Whether more than nine of ten cells differ, as names and descriptions do."""
    distinct = {"" if cell in MISSING else cell for cell in cells.distinct[0]}
    return len(cells) >= MIN_CELLS and len(distinct) > 0.9 * len(cells)


def _fit_numeric(name: str, values: NDArray[np.float64]) -> dict[str, Any] | str:
    learned = fit_column(values)
    return ONE_VALUE if learned is None else {"name": name, "kind": "numeric", **learned}


def _fit_categorical(name: str, cells: Column, settings: ColumnSettings) -> dict[str, Any] | str:
    counts: Counter[str] = Counter()
    for text, count in cells.counts.items():
        counts["" if text in MISSING or text in settings.missing_values else text] += count
    if len(counts) < 2:
        return ONE_VALUE
    missing = counts.pop("", 0)
    common = sorted(sorted(counts), key=lambda category: -counts[category])[: settings.max_categories]
    return {
        "name": name,
        "kind": "categorical",
        "categories": sorted(common),
        "other": len(counts) - len(common),
        "missing": missing,
    }


def _encode_numeric(file: CsvFile, encoding: Encoding, features: NDArray[np.float32]) -> None:
    values = read_numbers(file, encoding["name"], form_of(encoding), encoding.get("missing_values", ()))
    missing = np.isnan(values)
    if missing.any():
        values = np.where(missing, encoding["median"], values)
    features[:, 0] = (values - encoding["mean"]) / encoding["std"]
    if encoding["missing"]:
        features[:, 1] = missing


def _encode_categorical(file: CsvFile, encoding: Encoding, features: NDArray[np.float32]) -> None:
    position = _spellings(encoding["categories"])
    # Categories that are not in the training rows stay all zeros, unless rare categories share a feature.
    count = len(encoding["categories"])
    other = count if encoding["other"] else -1
    missing = count + bool(encoding["other"]) if encoding["missing"] else -1
    absent = missing_texts(encoding)
    texts, codes = file[encoding["name"]].distinct
    feature = np.array([missing if text in absent else position.get(text, other) for text in texts], np.int64)[codes]
    rows = np.flatnonzero(feature >= 0)
    features[rows, feature[rows]] = 1


def _spellings(categories: Sequence[str]) -> dict[str, int]:
    """The position of each category by its text, and by what a file or data frame of another kind writes for it.

    Parquet files say true where Python and its CSV files say True, and whole numbers become 1.0 beside missing ones.
    """
    others: dict[str, int] = {}
    for position, category in enumerate(categories):
        if category.casefold() in ("true", "false"):
            others |= dict.fromkeys((category.lower(), category.capitalize(), category.upper()), position)
        if category.removeprefix("-").isdecimal():
            others[f"{category}.0"] = position
        elif category.endswith(".0"):
            others[category.removesuffix(".0")] = position
    return others | {category: position for position, category in enumerate(categories)}


def feature_names_of(encoding: Encoding) -> list[str]:
    """The names of the features that a column becomes."""
    name = encoding["name"]
    if encoding["kind"] == "date":
        return dates.feature_names(encoding)
    if encoding["kind"] == "numeric":
        return [name, f"{name} missing"] if encoding["missing"] else [name]
    return [
        *(f"{name}={category}" for category in encoding["categories"]),
        *([f"{name}=(other)"] if encoding["other"] else []),
        *([f"{name}=(missing)"] if encoding["missing"] else []),
    ]


_ENCODERS = {"numeric": _encode_numeric, "categorical": _encode_categorical, "date": dates.encode}
