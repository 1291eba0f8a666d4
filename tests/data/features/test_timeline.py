"""The time axis is found, read with its offsets, and gives the season and the calendar."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.timeline import (
    TimeAxis,
    calendar_features,
    calendar_of,
    could_be_times,
    future_times,
    read_axis,
    refuse_unread,
    season_rows,
)
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import ConfigError, DataError

HOUR, DAY = 3600, 86400


def csv(**columns: list[str]) -> CsvFile:
    return CsvFile("a.csv", columns, list(range(2, 2 + len(next(iter(columns.values()))))))


def axis(file: CsvFile, time_column: str | list[str] | None = "auto", date_order: str = "auto") -> TimeAxis:
    return read_axis(file, time_column, ColumnSettings(date_order=date_order))


def test_the_time_column_is_found_by_content_then_by_name() -> None:
    assert axis(csv(value=["1"], when=["2024-01-31"])).columns == ("when",)
    assert axis(csv(value=["1"], Date=["5"])).columns == ("Date",)
    assert axis(csv(value=["1"])).columns == ()
    assert axis(csv(value=["1"], Date=["2024-01-31"]), None).columns == ()
    assert axis(csv(value=["1"]), "value").columns == ("value",)
    with pytest.raises(DataError, match=r"dataset\.time_column: .* no column 'valu'"):
        axis(csv(value=["1"]), "valu")


def test_numbers_that_do_not_ascend_are_no_time() -> None:
    file = csv(month=["11", "12", "1", "2"], y=["1", "2", "3", "4"])
    assert axis(file).columns == ()
    assert could_be_times(file) == ["month"]
    assert axis(csv(month=["4", "3", "2"])).columns == ("month",)
    assert axis(csv(time=["1", "2", "4"], day=["2", "3", "5"])).columns == ("time",)


def test_texts_without_a_digit_are_no_unread_times() -> None:
    refuse_unread(csv(town=["Bern 3", "Chur 7", "Aarau", "Olten 4", "Zug 6"]))
    with pytest.raises(DataError, match="'3 ~ 24' looks like a time"):
        refuse_unread(csv(when=[f"{i} ~ 24" for i in range(3, 8)]))


def test_an_axis_is_followed_by_another() -> None:
    both = axis(csv(t=["1", "2", "3"]), "t").followed_by(axis(csv(t=["5", "7"]), "t"), 3)
    assert (both.times.tolist(), both.clock.tolist(), list(both.cells)) == ([3, 5, 7], [3, 5, 7], ["3", "5", "7"])


def test_offsets_are_honored_and_the_calendar_keeps_the_clock() -> None:
    found = axis(csv(time=["2023-10-29 02:30:00+02:00", "2023-10-29 02:00:00+01:00"], text=["a"] * 2))
    assert np.diff(found.times).tolist() == [HOUR / 2]
    assert (found.clock % DAY).tolist() == [2.5 * HOUR, 2 * HOUR]
    assert found.has_dates
    assert not axis(csv(time=["1", "2"])).has_dates


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (["30/12/2023", "31/12/2023", "1/1/2024"], 1),
        (["12/30/2023 0:00", "12/31/2023 0:00", "1/1/2024 0:00"], 1),
        (["2024/1/1 0:00", "2024/1/3 0:00", "2024/1/5 0:00"], 2),
        (["1 Mar 2024", "2 Mar 2024", "3 Mar 2024"], 1),
    ],
)
def test_dates_as_people_write_them(cells: list[str], days: int) -> None:
    found = axis(csv(day=cells))
    assert np.diff(found.times).tolist() == [days * DAY] * 2


def test_the_order_of_the_rows_tells_day_and_month_apart() -> None:
    found = axis(csv(day=["10/02/2024", "11/02/2024", "01/03/2024"]))
    assert np.diff(found.times).tolist() == [DAY, 19 * DAY]


def test_day_and_month_that_nothing_tells_apart_are_asked_for() -> None:
    file = csv(day=["05/06/2024", "06/07/2024", "07/08/2024"])
    with pytest.raises(DataError, match=r"column 'day'.*'05/06/2024'.*dataset\.date_order=dmy"):
        axis(file)
    assert np.diff(axis(file, date_order="mdy").times).tolist() == [32 * DAY, 31 * DAY]


def test_a_date_and_a_time_of_day_are_one_axis() -> None:
    file = csv(Time=["23:30", "0:00"], y=["1", "2"], Date=["2024-01-01", "2024-01-02"])
    found = axis(file)
    assert found.columns == ("Date", "Time")
    assert np.diff(found.times).tolist() == [HOUR / 2]
    assert found.cells[0] == "2024-01-01 23:30"
    assert axis(file, ["Date", "Time"]).times.tolist() == found.times.tolist()


@pytest.mark.parametrize(
    ("columns", "step"),
    [
        ({"Date": ["2024-01-01"] * 24 + ["2024-01-02"] * 24, "hour": [str(i % 24) for i in range(48)]}, HOUR),
        ({"y": ["7"] * 30, "Tag": [f"202401{i:02}" for i in range(1, 31)]}, DAY),
        (
            {
                "y": ["7"] * 24,
                "year": ["2024"] * 24,
                "month": ["2"] * 24,
                "day": ["29"] * 24,
                "hr": [*map(str, range(24))],
            },
            HOUR,
        ),
        ({"year": ["2024"] * 3, "month": ["1"] * 3, "day": ["1", "2", "3"], "y": ["5", "6", "4"]}, DAY),
    ],
)
def test_a_time_in_several_columns_or_in_digits_is_one_axis(columns: dict[str, list[str]], step: int) -> None:
    found = axis(csv(**columns))
    assert found.has_dates
    assert set(np.diff(found.times)) == {step}


def test_months_in_digits_and_in_columns() -> None:
    digits = axis(csv(month=["202311", "202312", "202401", "202402"]))
    columns = axis(csv(year=["2023", "2023", "2024", "2024"], month=["11", "12", "1", "2"]))
    assert digits.times.tolist() == columns.times.tolist()
    assert columns.columns == ("year", "month")
    assert columns.cells[2] == "2024-01-01"


def test_a_day_that_does_not_exist_is_named() -> None:
    with pytest.raises(DataError, match="row 3, column 'year month day': '2023-02-29' is not a date"):
        axis(csv(year=["2023", "2023"], month=["2", "2"], day=["28", "29"]))


def test_numbers_in_even_steps_are_the_time() -> None:
    years = [str(1950 + i) for i in range(9)]
    assert axis(csv(y=["3", "1", "4", "1", "5", "9", "2", "6", "5"], Jahr=years)).columns == ("Jahr",)
    assert axis(csv(y=["3", "1", "4", "1", "5", "9", "2", "6", "5"], row=[str(i) for i in range(9)])).columns == ()


def test_what_is_no_time_is_named() -> None:
    with pytest.raises(DataError, match="row 3, column 'time': the time is missing"):
        axis(csv(time=["2024-01-02", "NaT"]))
    with pytest.raises(DataError, match="row 3, column 'time': the time is missing"):
        axis(csv(time=["1", "", "3"]), "time")
    with pytest.raises(DataError, match="row 3, column 'time': 'later' is not a date"):
        axis(csv(time=["2024-01-02", "later"]), "time")
    with pytest.raises(DataError, match="row 2, column 'date': 'spring' is not a date"):
        axis(csv(date=["spring", "summer"]))


@pytest.mark.parametrize(
    ("step", "rows"),
    [
        *((HOUR, 24), (900, 96), (7 * HOUR, None), (DAY, 365), (7 * DAY, 52)),
        *((28 * DAY, 12), (30 * DAY, 12), (31 * DAY, 12), (40 * DAY, None), (0, None)),
    ],
)
def test_season(step: float, rows: int | None) -> None:
    assert season_rows(step) == rows


def test_calendar_features() -> None:
    times = np.array(["2024-01-01T00:00", "2024-01-01T06:00"], "datetime64[s]").astype(np.float64)
    waves, names = calendar_features(times, 6 * HOUR)
    assert names == ("day of year sin", "day of year cos", "hour of day sin", "hour of day cos")
    assert np.allclose(waves[0], [0, 1, 0, 1])
    assert np.allclose(waves[1, 2:], [1, 0])
    half_a_year = np.array(["2024-07-01T15:00"], "datetime64[s]").astype(np.float64)
    assert np.allclose(calendar_features(half_a_year, DAY)[0], [[0, -1]])
    assert calendar_features(times, DAY)[0].shape == (2, 2)


def test_a_calendar_needs_dates() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.calendar is true, but the file has no time column with dates"):
        calendar_of(axis(csv(time=["1", "2"])), 1)


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        (["2024-02-27", "2024-02-28"], ["2024-02-29", "2024-03-01"]),
        (["2023-11-15", "2023-12-15"], ["2024-01-15", "2024-02-15"]),
        (["2023-12-31", "2024-01-31"], ["2024-02-29", "2024-03-31"]),
        (["2022-03-01", "2022-06-01", "2022-09-01"], ["2022-12-01", "2023-03-01"]),
        (["2024-01-01 22:00", "2024-01-01 23:00"], ["2024-01-02T00:00:00", "2024-01-02T01:00:00"]),
        (["2024-01-01 15:00", "2024-01-02 15:00"], ["2024-01-03T15:00:00", "2024-01-04T15:00:00"]),
        (["2024-01-01", "2024-02-01", "2024-04-01", "2024-05-01"], ["2024-06-01", "2024-07-02"]),
        (["30/1/2024", "31/1/2024"], ["2024-02-01", "2024-02-02"]),
        (["3", "5"], ["7", "9"]),
        (["2024-01-01"], []),
    ],
)
def test_future_times(cells: list[str], want: list[str]) -> None:
    assert future_times(axis(csv(t=cells), "t"), 2) == want
    assert future_times(axis(csv(t=cells), None), 2) == []


def test_a_time_that_the_user_calls_missing_is_named() -> None:
    days = [f"2024-01-{i + 1:02}" for i in range(20)]
    file = csv(day=[*days[:7], "unknown", *days[8:]])
    with pytest.raises(DataError, match=r"row 9, column 'day': the time is missing\. Fill it"):
        read_axis(file, "auto", ColumnSettings(missing_values=["unknown"]))
    with pytest.raises(DataError, match="'unknown' is not a date"):
        read_axis(file, "auto", ColumnSettings())
