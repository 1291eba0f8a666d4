"""Several series in one file: the column that tells them apart, and the rows of each in the order of time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ptrun.data.features.stacked import MIN_ROWS, may_tell_apart
from ptrun.data.features.timeline import TimeAxis
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.partition import Indices
from ptrun.errors import DataError, join_words

MIN_REPEATED = 0.2  # share of rows with a time that stands elsewhere too, from which on a file holds several series
TOGETHER = (2, 3)  # columns that are proposed together when none tells the series apart by itself
MAX_TRIED = 8  # candidate columns from which those are chosen


@dataclass(frozen=True)
class Groups:
    """The rows of a file by series.

    columns: that tell the series apart; none for a single series. order: the rows, series by series, in the order of
    time. stretches: the first row of each series in that order, and the row after its last. names: of the series.
    notes: what was found.
    """

    columns: tuple[str, ...]
    order: Indices
    stretches: tuple[tuple[int, int], ...]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def take(self, kept: Indices) -> Groups:
        """The groups when only the rows at these ascending positions of `order` are kept; one without a row is gone."""
        bounds = [(int(first), int(end)) for first, end in np.searchsorted(kept, np.array(self.stretches))]
        names = [name for name, (first, end) in zip(self.names, bounds, strict=False) if first < end]
        stretches = [(first, end) for first, end in bounds if first < end]
        return replace(self, order=self.order[kept], stretches=tuple(stretches), names=tuple(names))


def find_groups(file: CsvFile, axis: TimeAxis, group: str | Sequence[str] | None) -> Groups:
    """The series in a file. group: "auto" to find the column, its name, several names, or None for a single series.

    Raises DataError when the rows are not in the order of time, and when times repeat without a column that says why.
    """
    if group == "auto":
        columns = _find(file, axis)
    else:
        columns = (group,) if isinstance(group, str) else tuple(group or ())
        for name in columns:
            file.column(name, "dataset.group")
    order, stretches, names = _by_group(file, columns)
    notes = _notes(columns, names, was_found=group == "auto")
    if axis.columns:
        order, reversed_count = _oldest_first(file, axis, order, stretches)
        if reversed_count:
            notes.append(
                f"The newest row stood first; the rows are turned round by {axis.name}, and counted after that."
            )
        _refuse_many_repeats(file, axis, order, stretches)
    return Groups(columns, order, stretches, names, tuple(notes))


def _find(file: CsvFile, axis: TimeAxis) -> tuple[str, ...]:
    """The column that tells the series apart, when times repeat; none for one series."""
    count = len(axis.times)
    if not count or count - len(np.unique(axis.times)) < MIN_REPEATED * count:
        return ()
    return _apart(file, axis, 1)


def _apart(file: CsvFile, axis: TimeAxis, together: int) -> tuple[str, ...]:
    """So many columns with the fewest values within which no time repeats and all ascend or descend; () if none do."""
    names = [name for name in file.columns if name not in axis.columns and may_tell_apart(file[name])]
    tried = names if together == 1 else names[:MAX_TRIED]
    sets = [(_codes(file, columns), columns) for columns in itertools.combinations(tried, together)]
    apart = [
        (int(codes.max()) + 1, columns)
        for codes, columns in sets
        if codes.max() < len(codes) / MIN_ROWS and _tells_apart(axis, codes)
    ]
    return min(apart, key=lambda candidate: candidate[0])[1] if apart else ()


def _codes(file: CsvFile, columns: Sequence[str]) -> Indices:
    """A number for each row that says which values its columns have, from 0 on."""
    codes: Indices = np.zeros(len(file), np.int64)
    for name in columns:
        texts, own = file[name].distinct
        codes = np.unique(codes * len(texts) + own, return_inverse=True)[1].reshape(-1)
    return codes


def _tells_apart(axis: TimeAxis, codes: Indices) -> bool:
    order = np.argsort(codes, kind="stable")
    steps = np.diff(axis.times[order])[np.diff(codes[order]) == 0]
    return bool((steps > 0).all() or (steps < 0).all())


def _by_group(file: CsvFile, columns: Sequence[str]) -> tuple[Indices, tuple[tuple[int, int], ...], tuple[str, ...]]:
    """The rows series by series, the bounds of each, and its name."""
    if not columns:
        return np.arange(len(file)), ((0, len(file)),), ()
    labels = [" ".join(parts) for parts in zip(*(file[name] for name in columns), strict=True)]
    codes: dict[str, int] = {}
    numbers = np.array([codes.setdefault(label, len(codes)) for label in labels], np.int64)
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers)).tolist()
    return order, tuple(zip([0, *ends[:-1]], ends, strict=True)), tuple(codes)


def _notes(columns: Sequence[str], names: Sequence[str], *, was_found: bool) -> list[str]:
    if not columns:
        return []
    why = ", since times repeat" if was_found else ""
    text = " and ".join(f"'{column}'" for column in columns)
    description = f"{len(names)} series in one file, told apart by {text}{why}: {join_words(names, 6)}"
    return [f"{description}. Each is divided by itself, and no window reads two of them."]


def _oldest_first(
    file: CsvFile, axis: TimeAxis, order: Indices, stretches: Sequence[tuple[int, int]]
) -> tuple[Indices, int]:
    """The rows with each series in the order of time, and how many of them had to be turned round."""
    pieces, count = [], 0
    for first, end in stretches:
        rows = order[first:end]
        steps = np.diff(axis.times[rows])
        if len(steps) and (steps <= 0).all() and (steps < 0).any():
            rows, count = rows[::-1], count + 1
        elif (steps < 0).any():
            raise _out_of_order(file, axis, rows, int(np.flatnonzero(steps < 0)[0]) + 1)
        pieces.append(rows)
    return np.concatenate(pieces), count


def _out_of_order(file: CsvFile, axis: TimeAxis, rows: Indices, position: int) -> DataError:
    row, before = int(rows[position]), int(rows[position - 1])
    return DataError(
        f"{file.source}, row {file.rows[row]}, column {axis.name}: '{axis.cells[row]}' is earlier than the row before "
        f"it ('{axis.cells[before]}'). Sort the rows by time, oldest first. If the file holds several series, name the "
        "column that tells them apart in dataset.group."
    )


def _refuse_many_repeats(file: CsvFile, axis: TimeAxis, order: Indices, stretches: Sequence[tuple[int, int]]) -> None:
    repeated = [first + 1 + np.flatnonzero(np.diff(axis.times[order[first:end]]) == 0) for first, end in stretches]
    rows = np.concatenate(repeated)
    if len(rows) < MIN_REPEATED * len(order):
        return
    row = int(order[rows[0]])
    several = next((columns for count in TOGETHER if (columns := _apart(file, axis, count))), ())
    names = f", such as dataset.group=[{','.join(several)}]" if several else " (or several columns)"
    raise DataError(
        f"{file.source}, row {file.rows[row]}, column {axis.name}: the time '{axis.cells[row]}' stands there more than "
        f"once, as {len(rows)} times do. If the file holds several series, name the column that tells them apart in "
        f"dataset.group{names}; else keep one row for each time."
    )
