"""What new rows of a table hold that no training row did, counted for the user."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features.column_report import date_text
from ptrun.data.features.columns import Encoding, feature_names_of, missing_texts, unknown_in
from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_file import CsvFile

ROWS_SIDE_BY_SIDE = 64


def unusual_cells(file: CsvFile, encodings: Sequence[Encoding], features: NDArray[np.float32]) -> dict[str, int]:
    """What the rows hold that training rows did not, in words, and the number of rows with it.

    These are unknown categories, numbers and dates outside of the range in training (if the encoding has it), and
    missing values in columns that missed none.
    features: of these rows, as `encode_columns` gives them.
    """
    counts: dict[str, int] = {}
    position = 0
    extremes = [_extremes(features, extreme) for extreme in (np.minimum, np.maximum)] if len(features) else []
    for encoding in encodings:
        name, width = encoding["name"], len(feature_names_of(encoding))
        if encoding["kind"] == "categorical":
            kind = "a rare or unknown category" if encoding["other"] else "a category that training rows lack"
            counts[f"column '{name}': {kind}"] = unknown_in(file, encoding).total()
        elif "min" in encoding and any(_count_outside(encoding, scores[[position]]) for scores in extremes):
            counts[f"column '{name}': {_range_in_words(encoding)}"] = _count_outside(encoding, features[:, position])
        if not encoding["missing"]:
            counts[f"column '{name}': a missing value, which training rows lack"] = _count_missing(
                file[name], encoding, features[:, position]
            )
        position += width
    return {what: count for what, count in counts.items() if count}


def _extremes(features: NDArray[np.float32], extreme: np.ufunc) -> NDArray[np.float32]:
    """The least or greatest of each feature [F]. Many rows are taken as one, since NumPy is slow on short ones."""
    whole = len(features) - len(features) % ROWS_SIDE_BY_SIDE
    wide = features[:whole].reshape(-1, ROWS_SIDE_BY_SIDE * features.shape[1])
    rest = [features[whole:], *([extreme.reduce(wide).reshape(ROWS_SIDE_BY_SIDE, -1)] if whole else [])]
    lowest_or_highest: NDArray[np.float32] = extreme.reduce(np.concatenate(rest))
    return lowest_or_highest


def _count_outside(encoding: Encoding, scores: NDArray[np.float32]) -> int:
    low, high = encoding["min"], encoding["max"]
    values = scores.astype(np.float64) * encoding["std"] + encoding["mean"]
    rounding = 1e-6 * max(abs(low), abs(high), high - low)  # of float32
    return int(((values < low - rounding) | (values > high + rounding)).sum())


def _count_missing(cells: Column, encoding: Encoding, scores: NDArray[np.float32]) -> int:
    """Count the missing cells of a column. scores: its first feature."""
    absent = missing_texts(encoding)
    if encoding["kind"] == "categorical":
        return sum(count for text, count in cells.counts.items() if text in absent)
    rows = np.flatnonzero(scores == np.float32((encoding["median"] - encoding["mean"]) / encoding["std"]))
    if not len(rows):  # a missing value is set to the median, so there is none: spares a look at the texts
        return 0
    if encoding["kind"] == "numeric" and cells.floats is not None and not encoding.get("missing_values"):
        return int(np.isnan(cells.floats[rows]).sum())
    return sum(text in absent for text in cells.take(rows).texts())


def _range_in_words(encoding: Encoding) -> str:
    if encoding["kind"] == "date":
        first, last = date_text(encoding["min"]), date_text(encoding["max"])
        return f"a date outside of those in training ({first} to {last})"
    return f"a number outside of those in training ({encoding['min']:g} to {encoding['max']:g})"
