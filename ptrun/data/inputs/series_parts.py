"""Reads the rows of a new series part by part, and prepares each as if all rows were read at once.

What the first part shows holds for all: how its dates are written, which way its time goes, how far apart its rows are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ptrun.data.datasets.series import standardized_inputs
from ptrun.data.features import series_columns
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.series_columns import SeriesColumns
from ptrun.data.features.series_rows import OrderedRows, order_rows, steps_of
from ptrun.data.features.steps import find_steps, unlike_training
from ptrun.data.features.timeline import TimeAxis, calendar_of
from ptrun.data.formats.csv_chunks import ReadChunks
from ptrun.data.formats.csv_file import CsvFile, joined
from ptrun.errors import DataError
from ptrun.rng import Floats

PART_ROWS = 65_536  # rows that are prepared at a time; their times tell how the time goes on after the end


@dataclass(frozen=True)
class SeriesSettings:
    """How a series is read: settings of the data set in training. columns: how its cells are written."""

    time_column: str | Sequence[str] | None
    missing: str
    calendar: bool
    window: int
    horizon: int
    columns: ColumnSettings = field(default_factory=ColumnSettings)
    gaps: str = "auto"


@dataclass(frozen=True)
class Part:
    """Prepared rows [rows, features] that follow those of the part before.

    cells: the time of each row as it is written; none without a time column.
    recent: the times of the last PART_ROWS rows that were read. last_row: the row number of the last one.
    gaps: position of a row → where the gap before it is, in words; 0 when it is between this part and the one before.
    unusual: what training never saw, in words.
    """

    inputs: Tensor
    cells: Sequence[str]
    recent: TimeAxis
    last_row: int
    gaps: Mapping[int, str] = field(default_factory=dict)
    unusual: str = ""


def prepared_parts(read: ReadChunks, fitted: Mapping[str, Any], settings: SeriesSettings) -> Iterator[Part]:
    """The rows of a series in the order of time. fitted: what the data set learned in training.

    A series whose newest row stands first is read whole, since its last row in time comes first.
    Raises DataError for rows that are no series, or fewer than the model looks back on.
    """
    files = _files(read)
    first = next(files, None)
    if first is None:
        raise DataError("The series is empty: it has no data rows.")
    for name in fitted["columns"]:
        first.column(name, "The model was trained with other columns")
    rows = _ordered(first, settings.time_column, settings.columns, fitted)
    if rows.is_turned:
        rows = _ordered(joined([first, *files]), settings.time_column, settings.columns, fitted)
    preparer = _Preparer(rows, fitted, settings)
    num_rows = 0
    while True:
        part = preparer.part(rows)
        num_rows += len(part.inputs)
        yield part
        file = next(files, None)
        if file is None:
            break
        rows = preparer.following(file, rows)
    if num_rows < settings.window:
        raise DataError(
            f"{first.source} has {num_rows} rows, but the model looks back on {settings.window}. Give it more rows."
        )


def _files(read: ReadChunks) -> Iterator[CsvFile]:
    """The rows of a file, part by part. Raises DataError for a row of another length."""
    for chunk in read(chunk_rows=PART_ROWS, start=0):
        for number, reason in chunk.problems.items():
            raise DataError(f"{chunk.file.source}, row {number}: {reason}. Repair or remove the row.")
        yield chunk.file


def _ordered(
    file: CsvFile, time_column: str | Sequence[str] | None, columns: ColumnSettings, fitted: Mapping[str, Any]
) -> OrderedRows:
    """The rows in the order of time. Raises DataError for several series."""
    rows = order_rows(file, time_column, "auto", columns, fitted)
    if len(rows.stretches) > 1:
        raise DataError(
            f"{file.source} holds {len(rows.stretches)} series, told apart by {' and '.join(rows.groups.columns)}. "
            "Give a file with the rows of one."
        )
    return rows


class _Preparer:
    """Prepares part after part, and remembers what the next one needs of those before."""

    def __init__(self, first: OrderedRows, fitted: Mapping[str, Any], settings: SeriesSettings) -> None:
        self._fitted, self._settings = fitted, settings
        self._chosen: SeriesColumns = series_columns.restored(first.file, fitted)
        steps = steps_of(first, "ignore")
        self._usual_step = steps.usual
        self._unusual = unlike_training(steps, fitted.get("step"), first.axis.has_dates)
        self._recent: TimeAxis | None = None
        self._known = np.zeros(len(fitted["columns"]), bool)  # columns that had a value so far
        self._last: Floats | None = None  # values of the last row that was prepared

    def following(self, file: CsvFile, before: OrderedRows) -> OrderedRows:
        """The next rows of the file, read as those before. Raises DataError when they are not later."""
        columns = replace(self._settings.columns, date_order=before.axis.order or self._settings.columns.date_order)
        rows = _ordered(file, before.axis.columns, columns, self._fitted)
        if rows.axis.columns and (rows.is_turned or rows.axis.times[0] < before.axis.times[-1]):
            raise DataError(
                f"{file.source}, row {file.rows[0]}, column {rows.axis.name}: the rows from here on are earlier than "
                f"the row before ('{before.axis.cells[-1]}'). Sort the rows by time, oldest first. If the file holds "
                "several series, give a file with the rows of one."
            )
        return rows

    def part(self, rows: OrderedRows) -> Part:
        """The rows as the model reads them."""
        before = self._recent
        self._recent = rows.axis if before is None else before.followed_by(rows.axis, PART_ROWS)
        values, kept = self._values(rows.file)
        axis = rows.axis.take(kept) if rows.axis.columns else rows.axis
        gaps = self._gaps(before, axis)
        waves = calendar_of(axis, self._usual_step)[0] if self._settings.calendar else np.zeros((len(values), 0))
        inputs = standardized_inputs(values, waves, self._fitted)
        return Part(inputs, axis.cells, self._recent, rows.file.rows[-1], gaps, self._unusual)

    def _gaps(self, before: TimeAxis | None, axis: TimeAxis) -> dict[int, str]:
        """The gaps in the time of some rows, and between them and those before. A window of training crosses none."""
        if self._settings.gaps == "ignore" or not axis.columns:
            return {}
        times = axis if before is None else before.followed_by(axis, len(before.times) + len(axis.times))
        first = len(times.times) - len(axis.times)
        breaks = find_steps(times, [(0, len(times.times))]).breaks
        return {i + 1 - first: f"after {times.cells[i]}" for i in breaks.tolist() if i + 1 >= first}

    def _values(self, file: CsvFile) -> tuple[Floats, NDArray[np.int64]]:
        """The values without gaps, and the positions of their rows: those that nothing can fill are left out."""
        missing = self._settings.missing
        values = series_columns.read_values(file, self._chosen, self._settings.columns.missing_values)
        kept = np.arange(len(values))
        if missing == "forward_fill":
            is_known = self._known | np.logical_or.accumulate(~np.isnan(values), axis=0)
            kept = np.flatnonzero(is_known.all(axis=1))
            self._known = is_known[-1]
        if self._last is None:
            rows = file if len(kept) == len(values) else file.take(kept)
            values = series_columns.filled(rows, self._chosen, values[kept], missing, [(0, len(kept))])[0]
        elif missing == "forward_fill":
            both = np.vstack([self._last, values])
            values = series_columns.filled(file, self._chosen, both, missing, [(0, len(both))])[0][1:]
        else:
            values = series_columns.filled(file, self._chosen, values, missing, [(0, len(values))])[0]
        if len(values):
            self._last = values[-1]
        return values, kept
