"""The time column is found, checked for order, and gives the season and the calendar."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.features.timeline import (
    calendar_features,
    calendar_of,
    find_time_column,
    future_times,
    has_dates,
    read_times,
    season_rows,
    step_seconds,
)
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import ConfigError, DataError

HOUR, DAY = 3600, 86400


def csv(**columns: list[str]) -> CsvFile:
    return CsvFile("a.csv", columns, list(range(2, 2 + len(next(iter(columns.values()))))))


def test_the_time_column_is_found_by_content_then_by_name() -> None:
    assert find_time_column(csv(value=["1"], when=["2024-01-31"]), "auto") == "when"
    assert find_time_column(csv(value=["1"], Date=["5"]), "auto") == "Date"
    assert find_time_column(csv(value=["1"]), "auto") is None
    assert find_time_column(csv(value=["1"]), "value") == "value"
    with pytest.raises(DataError, match=r"dataset\.time_column: .* no column 'valu'"):
        find_time_column(csv(value=["1"]), "valu")


def test_times_are_seconds_and_a_time_zone_is_ignored() -> None:
    file = csv(time=["1970-01-01 00:00:00", "1970-01-01T01:00:00Z", "1970-01-01 02:00:00+02:00"], text=["a"] * 3)
    times = read_times(file, "time")
    assert times is not None
    assert times.tolist() == [0, HOUR, 2 * HOUR]
    assert step_seconds(times) == HOUR
    assert has_dates(file, "time")
    assert read_times(file, "text") is None
    assert read_times(file, None) is None
    assert not has_dates(csv(time=["1", "2"]), "time")


def test_rows_out_of_order_and_missing_times_are_named() -> None:
    with pytest.raises(DataError, match=r"row 3, column 'time': '2024-01-01' is earlier than .*\('2024-01-02'\)"):
        read_times(csv(time=["2024-01-02", "2024-01-01"]), "time")
    with pytest.raises(DataError, match="row 3, column 'time': the time is missing"):
        read_times(csv(time=["2024-01-02", "NaT"]), "time")


@pytest.mark.parametrize(
    ("step", "rows"),
    [(HOUR, 24), (900, 96), (7 * HOUR, None), (DAY, 365), (7 * DAY, 52), (30 * DAY, 12), (40 * DAY, None), (0, None)],
)
def test_season(step: float, rows: int | None) -> None:
    assert season_rows(step) == rows


def test_calendar_features() -> None:
    times = np.array(["2024-01-01T00:00", "2024-01-01T06:00"], "datetime64[s]").astype(np.float64)
    waves, names = calendar_features(times, 6 * HOUR)
    assert names == ("day of year sin", "day of year cos", "hour of day sin", "hour of day cos")
    assert np.allclose(waves[0], [0, 1, 0, 1])
    assert np.allclose(waves[1, 2:], [1, 0])
    assert calendar_features(times, DAY)[0].shape == (2, 2)


def test_a_calendar_needs_dates() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.calendar is true, but the file has no time column with dates"):
        calendar_of(csv(time=["1", "2"]), "time")


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        (["2024-02-27", "2024-02-28"], ["2024-02-29", "2024-03-01"]),
        (["2023-11-15", "2023-12-15"], ["2024-01-15", "2024-02-15"]),
        (["2023-12-31", "2024-01-31"], ["2024-02-29", "2024-03-31"]),
        (["2022-03-01", "2022-06-01", "2022-09-01"], ["2022-12-01", "2023-03-01"]),
        (["2024-01-01 22:00", "2024-01-01 23:00"], ["2024-01-02T00:00:00", "2024-01-02T01:00:00"]),
        (["3", "5"], ["7", "9"]),
        (["soon", "later"], []),
        (["2024-01-01"], []),
    ],
)
def test_future_times(cells: list[str], want: list[str]):
    file = CsvFile("s.csv", {"t": cells}, list(range(2, len(cells) + 2)))
    assert future_times(file, "t", 2) == want
    assert future_times(file, None, 2) == []
