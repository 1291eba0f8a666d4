"""Several series in one file whose time is a number that restarts in each, such as cycles of engines or years."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.partition import Indices
from ptrun.rng import Floats

MIN_ROWS = 3  # of a series, in the mean
MAX_SHARE = 0.8  # largest share of different numbers in the column of a time that restarts
MAX_COLUMNS = 30  # that are tried
# Numbers with these names restart by the calendar, in a single series too.
_CYCLES = frozenset({"hour", "hr", "day", "weekday", "dayofweek", "dow", "month", "mnth", "week", "quarter", "season"})
_PERIODS = frozenset({(0, 23), (1, 24), (0, 6), (1, 7), (0, 11), (1, 12), (1, 31), (0, 59), (1, 4), (1, 52), (1, 53)})


def find_stacked(file: CsvFile, group: Sequence[str]) -> tuple[str, str] | None:
    """The column with the time, and the one that tells the series apart: within each, the time goes on in even steps.

    group: the column that tells them apart, if it is known. None when the file holds no such series.
    """
    names = list(file.columns)[:MAX_COLUMNS]
    times = [name for name in names if _counts(file[name]) and name.lower() not in _CYCLES]
    apart = list(group) or [name for name in names if may_tell_apart(file[name]) and name.lower() not in _CYCLES]
    pairs = [
        (len(file[column].distinct[0]), time, column)
        for time in times
        for column in apart
        if column != time and _goes_on(file[time].floats, file[column])
    ]
    return min(pairs)[1:] if pairs else None


def may_tell_apart(cells: Column) -> bool:
    """Whether a column may name the series: texts or whole numbers, several rows of each."""
    is_name = cells.floats is None or _are_whole(cells.floats)
    return is_name and 2 <= len(cells.distinct[0]) <= len(cells) / MIN_ROWS


def _counts(cells: Column) -> bool:
    """Whether a column holds whole numbers of which many stand there more than once."""
    return cells.floats is not None and _are_whole(cells.floats) and len(cells.distinct[0]) <= MAX_SHARE * len(cells)


def _goes_on(times: Floats | None, names: Column) -> bool:
    """Whether the time goes on in even steps within each series, and no calendar makes it restart."""
    assert times is not None
    codes: Indices = names.distinct[1]
    order = np.argsort(codes, kind="stable")
    times, is_same = times[order], np.diff(codes[order]) == 0
    if names.floats is not None and _is_calendar(times, np.flatnonzero(~is_same)):
        return False
    steps = np.diff(times)[is_same]
    return bool(len(steps) and steps[0] != 0 and (steps == steps[0]).all())


def _is_calendar(times: Floats, ends: Indices) -> bool:
    """Whether the time of each series goes on to the end of a period, such as 7 or 12, and then restarts."""
    low, high = times.min(), times.max()
    return (int(low), int(high)) in _PERIODS and bool((times[ends] == high).all() and (times[ends + 1] == low).all())


def _are_whole(values: Floats) -> bool:
    return bool(np.isfinite(values).all() and (values == np.rint(values)).all())
