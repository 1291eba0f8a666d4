"""New rows of a series: the window at the end of a file, for a forecast, or every window, to roll over the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from ptrun.data.datasets.series import standardized_inputs
from ptrun.data.features import series_columns
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.series_rows import fill_rows, order_rows, steps_of
from ptrun.data.features.timeline import TimeAxis, calendar_of, future_times
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.inputs.source import Chunk
from ptrun.errors import DataError


@dataclass(frozen=True)
class SeriesSettings:
    """How a series is read: settings of the data set in training. columns: how its cells are written."""

    time_column: str | Sequence[str] | None
    missing: str
    calendar: bool
    window: int
    horizon: int
    columns: ColumnSettings = field(default_factory=ColumnSettings)


@dataclass(frozen=True)
class _Series:
    """The prepared rows of a file [rows, features], and how its time goes on."""

    file: CsvFile
    axis: TimeAxis
    inputs: Tensor


@dataclass(frozen=True)
class LastWindow:
    """The source of one input: the last rows of a file, whose forecast begins after its end.

    times: of the steps of the forecast, as texts; empty without dates.
    """

    inputs: Tensor
    name: str
    times: Sequence[str]
    identity: str = ""
    notes: tuple[str, ...] = ()
    count: int = 1
    batch_size: int = 1

    def chunks(self, start: int) -> Iterator[Chunk]:
        if start == 0:
            yield Chunk([self.name], self.inputs)


@dataclass(frozen=True)
class RollingWindows:
    """The source of all windows of a file, also those whose forecast goes beyond its end.

    names: the row (and time) at which each forecast begins.
    """

    inputs: Tensor
    window: int
    names: Sequence[str]
    times: Sequence[str]
    batch_size: int
    identity: str = ""
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.names)

    def chunks(self, start: int) -> Iterator[Chunk]:
        windows = self.inputs.unfold(0, self.window, 1).transpose(1, 2)
        for begin in range(start, len(self.names), self.batch_size):
            end = min(begin + self.batch_size, len(self.names))
            columns = {"time": self.times[begin:end]} if self.times else {}
            yield Chunk(self.names[begin:end], windows[begin:end].contiguous(), columns=columns)


def last_window(file: CsvFile, fitted: Mapping[str, Any], settings: SeriesSettings) -> LastWindow:
    """The end of a file as one input. Raises DataError when the file has fewer rows than a window."""
    series = _read(file, fitted, settings)
    times = future_times(series.axis, settings.horizon)
    return LastWindow(series.inputs[-settings.window :][None], f"after row {series.file.rows[-1]}", times)


def rolling_windows(
    file: CsvFile, fitted: Mapping[str, Any], settings: SeriesSettings, batch_size: int
) -> RollingWindows:
    """Every window of a file. Raises DataError when the file has fewer rows than a window."""
    series = _read(file, fitted, settings)
    first_rows = range(settings.window, len(series.file) + 1)
    names = [_steps(row, settings.horizon) for row in first_rows]
    cells = list(series.axis.cells)
    times = [*cells[settings.window :], *future_times(series.axis, 1)] if cells else []
    return RollingWindows(series.inputs, settings.window, names, times, batch_size)


def _read(file: CsvFile, fitted: Mapping[str, Any], settings: SeriesSettings) -> _Series:
    for name in fitted["columns"]:
        file.column(name, "The model was trained with other columns")
    if len(file) < settings.window:
        raise DataError(
            f"{file.source} has {len(file)} rows, but the model looks back on {settings.window}. Give it more rows."
        )
    rows = order_rows(file, settings.time_column, "auto", settings.columns, fitted)
    if len(rows.stretches) > 1:
        raise DataError(
            f"{file.source} holds {len(rows.stretches)} series, told apart by {' and '.join(rows.groups.columns)}. "
            "Give a file with the rows of one."
        )
    filled = fill_rows(rows, series_columns.restored(file, fitted), settings.columns, settings.missing, may_cut=True)
    axis = filled.rows.axis
    usual = steps_of(filled.rows, "ignore").usual
    waves = calendar_of(axis, usual)[0] if settings.calendar else np.zeros((len(filled.values), 0))
    return _Series(filled.rows.file, axis, standardized_inputs(filled.values, waves, fitted))


def _steps(first: int, horizon: int) -> str:
    """The rows of a forecast as an evaluation names them, counted from 0 without the header."""
    return f"row {first}" if horizon == 1 else f"rows {first} to {first + horizon - 1}"
