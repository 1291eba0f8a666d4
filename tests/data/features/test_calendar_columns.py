"""Columns with year, month, day and hour are one time; numbers that can't be such are none."""

from __future__ import annotations

from ptrun.data.features.calendar_columns import as_dates, calendar_columns, hours, is_hour
from ptrun.data.formats.csv_file import CsvFile


def csv(**columns: list[str]) -> CsvFile:
    return CsvFile("a.csv", columns, list(range(2, 2 + len(next(iter(columns.values()))))))


def test_the_columns_are_found_in_any_order_and_language() -> None:
    file = csv(hr=["5", "6"], y=["1", "2"], Monat=["12", "12"], Jahr=["2024", "2024"], Tag=["31", "31"])
    found = calendar_columns(file, list(file.columns))
    assert found == ("Jahr", "Monat", "Tag", "hr")
    assert as_dates(file, found).texts() == ["2024-12-31 05:00", "2024-12-31 06:00"]
    assert as_dates(file, found[:2]).texts() == ["2024-12-01"] * 2
    quarters = csv(year=["2024"], month=["1"], day=["1"], hour=["0"], minute=["45"])
    assert as_dates(quarters, calendar_columns(quarters, list(quarters.columns))).texts() == ["2024-01-01 00:45"]


def test_what_are_no_such_columns() -> None:
    assert calendar_columns(csv(year=["2024"], month=["13"]), ["year", "month"]) == ()
    assert calendar_columns(csv(year=["2024"], month=[""]), ["year", "month"]) == ()
    assert calendar_columns(csv(month=["1"], day=["2"]), ["month", "day"]) == ()
    assert calendar_columns(csv(year=["2024"], month=["1"], day=["0.5"]), ["year", "month", "day"]) == ("year", "month")


def test_hours() -> None:
    file = csv(Hour=["0", "23"], hr=["25", "1"], h=["1", "2"])
    assert [is_hour(file, name) for name in file.columns] == [True, False, False]
    assert hours(file, "Hour").texts() == ["00:00", "23:00"]
