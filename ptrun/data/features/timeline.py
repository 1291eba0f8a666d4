"""The time axis of a series: which columns hold it, the time of each row, its season, its calendar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features.calendar_columns import as_dates, calendar_columns, hours, is_hour
from ptrun.data.features.kinds import ColumnSettings, as_set, counts_rows, one_order
from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_dialect import YEARS
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.date_form import DAY_SECONDS, NOT_A_TIME, Instants, instants, possible_orders
from ptrun.errors import ConfigError, DataError
from ptrun.rng import Floats

TIME_NAMES = frozenset({"date", "datetime", "time", "timestamp", "ds", "day", "month"})
LOOKED_AT = 20  # cells of a column that are tried as dates before all are
MIN_STEPS = 5  # rows of a file, from which on even steps are no chance
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class TimeAxis:
    """The time of each row, in the order of the file.

    columns: that hold it; none when the order of the rows is all that is known.
    times: seconds since 1970 [T], with UTC offsets, or the numbers of a column of numbers. clock: as the cells show it.
    cells: the time of each row as it is written. has_dates: whether the times are seconds.
    order: of year, month and day in the cells, "" for numbers.
    """

    columns: tuple[str, ...]
    times: Floats
    clock: Floats
    cells: Sequence[str]
    has_dates: bool = False
    order: str = ""

    @property
    def name(self) -> str:
        """The columns in words."""
        return " and ".join(f"'{column}'" for column in self.columns)

    def take(self, rows: NDArray[np.int64]) -> TimeAxis:
        """The axis of some of the rows."""
        cells = [self.cells[i] for i in rows]
        return replace(self, times=self.times[rows], clock=self.clock[rows], cells=cells)

    def followed_by(self, other: TimeAxis, count: int) -> TimeAxis:
        """The last `count` rows of this axis and one that goes on after it."""
        times, clock = (np.concatenate([getattr(self, name), getattr(other, name)]) for name in ("times", "clock"))
        cells = [*self.cells, *other.cells]
        return replace(self, times=times[-count:], clock=clock[-count:], cells=cells[-count:])


NO_AXIS = TimeAxis((), np.zeros(0), np.zeros(0), ())


def read_axis(file: CsvFile, time_column: str | Sequence[str] | None, settings: ColumnSettings) -> TimeAxis:
    """The time axis of a file. time_column: "auto", a column, two columns with date and time of day, or None.

    Raises DataError naming row and column of a cell that is no time.
    """
    columns = _find(file, settings) if time_column == "auto" else _given(file, time_column)
    if not columns:
        return NO_AXIS
    if calendar := calendar_columns(file, columns):
        days = as_dates(file, calendar)
        dates = instants(days, file.rows, file.source, " ".join(calendar), "ymd")
        return TimeAxis(calendar, dates.utc, dates.clock, days, has_dates=True, order="ymd")
    if len(columns) == 1 and file[columns[0]].floats is not None and not _are_digits(file[columns[0]]):
        times = _numbers(file, columns[0], settings)
        return TimeAxis(columns, times, times, file[columns[0]])
    orders = [_order(file, column, settings) for column in columns]
    read = [_instants(file, column, order, settings) for column, order in zip(columns, orders, strict=True)]
    utc, clock = (np.sum([getattr(part, kind) for part in read], axis=0) for kind in ("utc", "clock"))
    missing = np.flatnonzero(np.isnan(utc))
    if len(missing):
        raise _missing(file, columns[0], int(missing[0]))
    cells = [" ".join(parts) for parts in zip(*(_cells(file, column, settings) for column in columns), strict=True)]
    return TimeAxis(columns, utc, clock, cells, has_dates=True, order=orders[0])


def could_be_times(file: CsvFile) -> list[str]:
    """Columns of numbers that are named like a time but do not ascend, such as a month from 1 to 12."""
    names = [name for name in file.columns if name.lower() in TIME_NAMES and file[name].floats is not None]
    return [name for name in names if not _is_monotone(file, name)]


def refuse_unread(file: CsvFile) -> None:
    """Raise DataError for a column of texts with digits that all differ: most likely times of an unknown form."""
    for name in file.columns:
        texts = file[name].distinct[0]
        if file[name].floats is None and len(texts) == len(file) >= MIN_STEPS and all(map(_DIGIT.search, texts)):
            raise DataError(
                f"{file.source}, column '{name}': '{texts[0][:60]}' looks like a time, since each row has another, but "
                "can't be read as one. Dates like 2024-01-31, 31/1/2024 15:00, 31 Jan 2024, 2024-W05 and 2024Q1 are "
                "read. With dataset.time_column=null the rows are taken in the order of the file."
            )


def _given(file: CsvFile, time_column: str | Sequence[str] | None) -> tuple[str, ...]:
    columns = (time_column,) if isinstance(time_column, str) else tuple(time_column or ())
    for name in columns:
        file.column(name, "dataset.time_column")
    return columns


def _find(file: CsvFile, settings: ColumnSettings) -> tuple[str, ...]:
    """The first column with dates, and one with the time of day if these have none; else one by its name, or steps."""
    orders = {name: _orders_at_start(_cells(file, name, settings)) for name in file.columns}
    dates = next((name for name in orders if set(orders[name]) - {"time"}), None)
    if dates is not None:
        clock = next((name for name in orders if orders[name] == ["time"]), None)
        has_days_only = clock is not None and not _has_hours(file, dates, settings)
        return (dates, clock) if clock is not None and has_days_only else (dates,)
    if calendar := calendar_columns(file, list(file.columns)):
        return calendar
    named = [name for name in file.columns if name.lower() in TIME_NAMES]
    numbers = [name for name in file.columns if _are_digits(file[name]) or _has_even_steps(file, name)]
    found = [name for name in named if file[name].floats is None or _is_monotone(file, name)] or numbers
    return tuple(found[:1])


def _are_digits(cells: Column) -> bool:
    """Whether all cells of a column are dates such as 20240131 or 202401."""
    some = cells[:LOOKED_AT]
    if not all(cell.isdigit() and len(cell) in (6, 8) and int(cell[:4]) in YEARS for cell in some):
        return False
    return bool(possible_orders(cells.distinct[0], digits_too=True))


def _has_even_steps(file: CsvFile, name: str) -> bool:
    """Whether a column of numbers ascends or descends in even steps, such as years; a count of the rows does not."""
    values = file[name].floats
    if name in file.nameless or values is None or len(values) < MIN_STEPS or counts_rows(values):
        return False
    steps = np.diff(values)
    return bool(steps[0] != 0 and np.allclose(steps, steps[0], rtol=1e-9, atol=0))


def _cells(file: CsvFile, name: str, settings: ColumnSettings) -> Column:
    """The cells of a column, empty where the user says that they stand for a missing value; of hours, as 15:00."""
    if is_hour(file, name):
        return hours(file, name)
    return file[name].without(settings.missing_values)


def _has_hours(file: CsvFile, name: str, settings: ColumnSettings) -> bool:
    """Whether some date of a column has a time of day."""
    return bool((_instants(file, name, _order(file, name, settings), settings).clock % DAY_SECONDS).any())


def _orders_at_start(cells: Column) -> list[str]:
    """The orders in which the first cells of a column are dates."""
    return possible_orders([cell for cell in cells[: 2 * LOOKED_AT] if cell not in NOT_A_TIME][:LOOKED_AT])


def _is_monotone(file: CsvFile, name: str) -> bool:
    values = file[name].floats
    steps = np.diff(values) if values is not None else np.array([np.nan])
    return bool((steps >= 0).all() or (steps <= 0).all())


def _order(file: CsvFile, column: str, settings: ColumnSettings) -> str:
    """The order in which the cells of a column are dates; if there is none, that of its first cells.

    Raises DataError when nothing tells day from month.
    """
    cells = _cells(file, column, settings)
    orders = as_set(possible_orders(cells.distinct[0], digits_too=True), settings)
    if not orders:  # the cell that does not fit those before it will be named
        return (_orders_at_start(cells) or ["ymd"])[0]
    return one_order(file, column, orders, settings.missing_values)


def _instants(file: CsvFile, column: str, order: str, settings: ColumnSettings) -> Instants:
    """The times of a column of dates. Raises DataError for a cell that is no date."""
    return instants(_cells(file, column, settings), file.rows, file.source, column, order)


def _numbers(file: CsvFile, column: str, settings: ColumnSettings) -> Floats:
    times = _cells(file, column, settings).floats
    assert times is not None
    missing = np.flatnonzero(np.isnan(times))
    if len(missing):
        raise _missing(file, column, int(missing[0]))
    return times


def _missing(file: CsvFile, column: str, position: int) -> DataError:
    return DataError(
        f"{file.source}, row {file.rows[position]}, column '{column}': the time is missing. Fill it, or remove the row."
    )


def season_rows(seconds: float) -> int | None:
    """Return the rows in a season, for rows that are `seconds` apart: a day if they are closer, else a year.

    None when the season is not a whole number of rows, and for rows that are more than a month apart.
    """
    if seconds <= 0 or seconds > 31 * DAY_SECONDS:
        return None
    if seconds < DAY_SECONDS:
        return round(DAY_SECONDS / seconds) if DAY_SECONDS % seconds == 0 else None
    rows_in_year = {1: 365, 7: 52, 28: 12, 29: 12, 30: 12, 31: 12}
    return rows_in_year.get(round(seconds / DAY_SECONDS))


def calendar_features(clock: Floats, seconds: float) -> tuple[Floats, tuple[str, ...]]:
    """Return sine and cosine of the day of the year, and of the hour if rows are less than a day apart: [T, 2 or 4]."""
    dates = clock.astype("datetime64[s]")
    seconds_of_year = (dates - dates.astype("datetime64[Y]").astype("datetime64[s]")).astype(np.float64)
    angles = [2 * np.pi * seconds_of_year / (365.25 * DAY_SECONDS)]
    names = ["day of year sin", "day of year cos"]
    if seconds < DAY_SECONDS:
        angles.append(2 * np.pi * (clock % DAY_SECONDS) / DAY_SECONDS)
        names += ["hour of day sin", "hour of day cos"]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.column_stack(waves), tuple(names)


def calendar_of(axis: TimeAxis, seconds: float) -> tuple[Floats, tuple[str, ...]]:
    """Return calendar features [T, 2 or 4] and their names. Raises ConfigError without dates."""
    if not axis.has_dates:
        raise ConfigError(
            "dataset.calendar is true, but the file has no time column with dates like 2024-01-31 or 2024-01-31 15:00. "
            "Name it in dataset.time_column, or set dataset.calendar=false."
        )
    return calendar_features(axis.clock, seconds)


def future_times(axis: TimeAxis, count: int) -> list[str]:
    """The times of `count` rows after the last one, in ISO form, or numbers; [] when the times are not known.

    Rows that are whole months apart go on by months, others by their usual step.
    """
    times = axis.clock
    if len(times) < 2:
        return []
    step = float(np.median(np.diff(times)))
    if not axis.has_dates:
        return [f"{times[-1] + ahead * step:g}" for ahead in range(1, count + 1)]
    dates = times.astype("datetime64[s]")
    months = dates.astype("datetime64[M]")
    month_steps = np.unique(np.diff(months).astype(np.int64))
    from_begin = dates - months.astype("datetime64[s]")
    from_end = (months + 1).astype("datetime64[s]") - dates
    by_months = len(month_steps) == 1 and month_steps[0] > 0
    if by_months and (from_end == from_end[0]).all() and from_end[0] <= np.timedelta64(1, "D"):  # their last days
        future = (months[-1] + np.arange(1, count + 1) * month_steps[0] + 1).astype("datetime64[s]") - from_end[0]
    elif by_months and (from_begin == from_begin[0]).all():
        future = (months[-1] + np.arange(1, count + 1) * month_steps[0]).astype("datetime64[s]") + from_begin[0]
    else:
        future = dates[-1] + (np.arange(1, count + 1) * step).astype("timedelta64[s]")
    midnight = not ((dates - dates.astype("datetime64[D]")).astype(np.int64).any() or step % DAY_SECONDS)
    unit = "D" if midnight else "s"
    return [str(date) for date in future.astype(f"datetime64[{unit}]")]
