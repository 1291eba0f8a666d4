"""New rows of a series: the window at the end of a file, for a forecast, or every window, to roll over the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ptrun.data.datasets.series import filled_values, standardized_inputs
from ptrun.data.features.timeline import calendar_of, find_time_column, future_times
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.inputs.source import Chunk
from ptrun.errors import DataError


@dataclass(frozen=True)
class SeriesSettings:
    """How a series is read: `dataset.time_column`, `missing` and `calendar` of the training, window and horizon."""

    time_column: str
    missing: str
    calendar: bool
    window: int
    horizon: int


@dataclass(frozen=True)
class _Series:
    """The prepared rows of a file [rows, features], and how its time goes on."""

    file: CsvFile
    time: str | None
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
    times = future_times(file, series.time, settings.horizon)
    return LastWindow(series.inputs[-settings.window :][None], f"after row {file.rows[-1]}", times)


def rolling_windows(
    file: CsvFile, fitted: Mapping[str, Any], settings: SeriesSettings, batch_size: int
) -> RollingWindows:
    """Every window of a file. Raises DataError when the file has fewer rows than a window."""
    series = _read(file, fitted, settings)
    first_rows = range(settings.window, len(file) + 1)
    names = [_steps(row, settings.horizon) for row in first_rows]
    cells = file.columns[series.time] if series.time else []
    times = [*cells[settings.window :], *future_times(file, series.time, 1)] if cells else []
    return RollingWindows(series.inputs, settings.window, names, times, batch_size)


def _read(file: CsvFile, fitted: Mapping[str, Any], settings: SeriesSettings) -> _Series:
    for name in fitted["columns"]:
        file.column(name, "The model was trained with other columns")
    if len(file) < settings.window:
        raise DataError(
            f"{file.source} has {len(file)} rows, but the model looks back on {settings.window}. Give it more rows."
        )
    time = find_time_column(file, settings.time_column)
    values, _ = filled_values(file, fitted["columns"], settings.missing)
    waves = calendar_of(file, time)[0] if settings.calendar else np.zeros((len(file), 0))
    return _Series(file, time, standardized_inputs(values, waves, fitted))


def _steps(first: int, horizon: int) -> str:
    """The rows of a forecast as an evaluation names them, counted from 0 without the header."""
    return f"row {first}" if horizon == 1 else f"rows {first} to {first + horizon - 1}"


def as_tensor_rows(values: np.ndarray[Any, Any], columns: Sequence[str]) -> CsvFile:
    """An array [rows, columns] as the file of a series without a time column."""
    cells = {name: [repr(float(value)) for value in values[:, i]] for i, name in enumerate(columns)}
    return CsvFile("the array", cells, list(range(len(values))))
