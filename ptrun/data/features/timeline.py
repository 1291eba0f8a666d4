"""The time column of a series: which one it is, whether it is in order, its step, its season, its calendar."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.number_form import numbers_or_none
from ptrun.errors import ConfigError, DataError

TIME_NAMES = frozenset({"date", "datetime", "time", "timestamp", "ds", "day", "month"})
DAY_SECONDS = 86400
ZONE = re.compile(r"(?<=\d)(Z|[+-]\d\d:\d\d)$")


def find_time_column(file: CsvFile, time_column: str) -> str | None:
    """Return the name of the time column; for "auto" it is the first with dates. None when there is none."""
    if time_column != "auto":
        file.column(time_column, "dataset.time_column")
        return time_column
    for name, cells in file.columns.items():
        if numbers_or_none(cells[:1]) is None and _dates(cells[:1]) is not None:
            return name
    return next((name for name in file.columns if name.lower() in TIME_NAMES), None)


def read_times(file: CsvFile, column: str | None) -> NDArray[np.float64] | None:
    """Return seconds since 1970 [T], or the numbers of a column of numbers; None for other texts.

    Raises DataError naming a row without a time, and a row that is earlier than the one before it.
    """
    if column is None:
        return None
    cells = file.columns[column]
    times = numbers_or_none(cells)
    if times is None:
        dates = _dates(cells)
        if dates is not None and np.isnat(dates).any():
            row = file.rows[int(np.flatnonzero(np.isnat(dates))[0])]
            raise DataError(f"{file.source}, row {row}, column '{column}': the time is missing.")
        times = None if dates is None else dates.astype(np.float64)
    if times is None or np.isnan(times).any():
        return None
    decreases = np.flatnonzero(np.diff(times) < 0)
    if len(decreases):
        row = int(decreases[0]) + 1
        raise DataError(
            f"{file.source}, row {file.rows[row]}, column '{column}': '{cells[row]}' is earlier than the row before it "
            f"('{cells[row - 1]}'). Sort the rows by time, oldest first."
        )
    return times


def has_dates(file: CsvFile, column: str | None) -> bool:
    """Whether the times are dates, so that the time between rows is known in seconds."""
    return (
        column is not None
        and numbers_or_none(file.columns[column][:1]) is None
        and _dates(file.columns[column]) is not None
    )


def step_seconds(times: NDArray[np.float64]) -> float:
    """Return the usual time between two rows, in seconds."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def season_rows(seconds: float) -> int | None:
    """Return the rows in a season, for rows that are so many seconds apart: a day if they are closer, else a year.

    None when the season is not a whole number of rows, and for rows that are more than a month apart.
    """
    if seconds <= 0 or seconds > 31 * DAY_SECONDS:
        return None
    if seconds < DAY_SECONDS:
        return round(DAY_SECONDS / seconds) if DAY_SECONDS % seconds == 0 else None
    rows_in_year = {1: 365, 7: 52, 28: 12, 29: 12, 30: 12, 31: 12}
    return rows_in_year.get(round(seconds / DAY_SECONDS))


def calendar_features(times: NDArray[np.float64], seconds: float) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return sine and cosine of the day of the year, and of the hour if rows are less than a day apart: [T, 2 or 4]."""
    dates = times.astype("datetime64[s]")
    seconds_of_year = (dates - dates.astype("datetime64[Y]").astype("datetime64[s]")).astype(np.float64)
    angles = [2 * np.pi * seconds_of_year / (365.25 * DAY_SECONDS)]
    names = ["day of year sin", "day of year cos"]
    if seconds < DAY_SECONDS:
        angles.append(2 * np.pi * (times % DAY_SECONDS) / DAY_SECONDS)
        names += ["hour of day sin", "hour of day cos"]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.column_stack(waves), tuple(names)


def calendar_of(file: CsvFile, column: str | None) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return calendar features [T, 2 or 4] and their names. Raises ConfigError without dates in ISO form."""
    times = read_times(file, column) if has_dates(file, column) else None
    if times is None:
        raise ConfigError(
            "dataset.calendar is true, but the file has no time column with dates like 2024-01-31 or 2024-01-31 15:00. "
            "Name it in dataset.time_column, or set dataset.calendar=false."
        )
    return calendar_features(times, step_seconds(times))


def _dates(cells: Sequence[str]) -> NDArray[np.datetime64] | None:
    """Dates in ISO form; None when a cell is not one."""
    try:
        # A time zone at the end is removed: all rows of a file are taken to be in the same one.
        return np.array([ZONE.sub("", cell) for cell in cells], dtype="datetime64[s]")
    except ValueError:
        return None
