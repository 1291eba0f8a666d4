"""Finds what a person should look at before training: columns that tell the target, and numbers that mean "missing".

Nothing is changed here; each finding is a sentence with the setting that would change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features.kinds import is_id_name, read_numbers
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.number_form import form_of
from ptrun.data.partition import Indices
from ptrun.rng import Floats

MIN_ROWS = 50  # in fewer rows, a column tells the target by chance
SAMPLE_ROWS = 1000
LEAK_CORRELATION = 0.9999
MIN_REPEATS = 3  # of a value that stands for missing ones
# Numbers that people write for a missing value, as far as data sets and instruments show.
SENTINELS = frozenset({-1e20, -99999, -32768, -9999, -999, -200, -99, -9, 99, 999, 9999, 99999, 999999})
# How a last row that sums up the others is called, in English, German, French and Spanish.
TOTALS = frozenset(
    {"total", "totals", "grand total", "sum", "average", "mean"}
    | {"gesamt", "summe", "mittelwert", "durchschnitt", "somme", "moyenne", "suma", "media", "promedio"}
)


def suspicions(
    file: CsvFile,
    encodings: Sequence[Mapping[str, Any]],
    train: Indices,
    target: str,
    goal: NDArray[Any],
) -> list[str]:
    """Sentences on leaks and sentinels in the training rows. goal: classes or numbers of the target, [N]."""
    classes = goal if goal.dtype.kind == "i" else None
    leaks = [encoding["name"] for encoding in encodings if _tells(file, encoding, train, classes, goal)]
    notes = [
        f"The column '{name}' alone tells '{target}' in the training rows. If it is not known before '{target}' is, "
        f"leave it out: dataset.ignore=[{name}]."
        for name in leaks
    ]
    return [*notes, *_sentinel_notes(file, encodings, train), *_id_notes(file, encodings), *_total_notes(file)]


def _id_notes(file: CsvFile, encodings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns called id that are taken as numbers, although the size of an id means nothing."""
    names = [encoding["name"] for encoding in encodings if encoding["kind"] == "numeric"]
    return [
        f"The column '{name}' is called an id, but its {len(file[name].counts)} different values are taken as numbers. "
        f"If their size means nothing, set dataset.categorical=[{name}] or dataset.ignore=[{name}]."
        for name in names
        if is_id_name(name)
    ]


def _total_notes(file: CsvFile) -> list[str]:
    """A last row that sums up the others, which spreadsheets write below a table."""
    for name in file.columns:
        cell = file[name][-1]
        if cell.strip(" :.").casefold() in TOTALS and file[name].counts[cell] == 1:
            what = f"The last row (row {file.rows[-1]}) has '{cell}' in the column '{name}'"
            return [f"{what}, and is taken as a sample. If it sums up the others, delete it."]
    return []


def _tells(
    file: CsvFile, encoding: Mapping[str, Any], train: Indices, classes: NDArray[Any] | None, goal: NDArray[Any]
) -> bool:
    if len(train) < MIN_ROWS or encoding["kind"] == "date":
        return False
    if len(train) > 2 * SAMPLE_ROWS and not _tells(file, encoding, train[:: len(train) // SAMPLE_ROWS], classes, goal):
        return False  # most columns do not tell the target of a few rows either
    if encoding["kind"] == "categorical":
        _, codes = file[encoding["name"]].distinct
        return classes is not None and _maps_to_classes(codes[train], classes[train])
    values = _values(file, encoding)[train]
    if np.isnan(values).any():
        return False
    if classes is not None:
        return _orders_classes(values, classes[train])
    return bool(abs(np.corrcoef(values, goal[train].ravel())[0, 1]) >= LEAK_CORRELATION)


def _maps_to_classes(codes: NDArray[Any], classes: NDArray[Any]) -> bool:
    """Whether each of a few categories belongs to one class."""
    pairs = np.unique(np.column_stack([codes, classes]), axis=0)
    num_categories = len(np.unique(codes))
    return len(pairs) == num_categories and 5 * num_categories <= len(codes)


def _orders_classes(values: Floats, classes: NDArray[Any]) -> bool:
    """Whether bounds between the values part the classes without an error."""
    order = np.lexsort((classes, values))
    values, classes = values[order], classes[order]
    changes = classes[1:] != classes[:-1]
    within_value = changes & (values[1:] == values[:-1])
    return bool(changes.sum() == len(np.unique(classes)) - 1 and not within_value.any())


def _sentinel_notes(file: CsvFile, encodings: Sequence[Mapping[str, Any]], train: Indices) -> Iterator[str]:
    found: dict[float, list[str]] = {}
    for encoding in encodings:
        if encoding["kind"] != "numeric" or encoding.get("missing_values"):
            continue
        values = _values(file, encoding)[train]
        for value, count, low, high in _sentinels(values[~np.isnan(values)]):
            found.setdefault(value, []).append(f"{encoding['name']} ({count}; the others: {low:.6g} to {high:.6g})")
    for value, columns in found.items():
        yield (
            f"{value:g} lies far from the other values and may stand for a missing one, in training rows of: "
            f"{', '.join(columns[:8])}{' and others' if columns[8:] else ''}. "
            f"If so, set dataset.missing_values=[{value:g}]."
        )


def _sentinels(present: Floats) -> Iterator[tuple[float, int, float, float]]:
    """Extreme values that repeat and lie far from the rest: value, cells, and the range of the rest."""
    if len(present) < MIN_ROWS:
        return
    for extreme in (present.min(), present.max()):
        count = int(np.count_nonzero(present == extreme))
        if count < MIN_REPEATS or len(present) - count < MIN_ROWS // 2:
            continue
        rest = present[present != extreme]
        low, high = float(rest.min()), float(rest.max())
        gap = max(low - extreme, extreme - high)
        needed = 0.25 if float(extreme) in SENTINELS else 1.0
        if len(np.unique(rest[:1000])) > 5 and gap > needed * (high - low) and abs(extreme) > 1:
            yield float(extreme), count, low, high


def _values(file: CsvFile, encoding: Mapping[str, Any]) -> Floats:
    return read_numbers(file, encoding["name"], form_of(encoding), encoding.get("missing_values", ()))
