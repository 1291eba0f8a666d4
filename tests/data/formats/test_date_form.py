"""Dates are read in the form of their column; a cell that is no such date is named."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from ptrun.data.formats.column import Column
from ptrun.data.formats.date_form import describe, instants, is_date_like, possible_orders
from ptrun.errors import DataError


def clock(cell: str, order: str) -> str:
    seconds = float(instants(Column([cell]), [1], "f", "c", order).clock[0])
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ").removesuffix("+00:00")


@pytest.mark.parametrize(
    ("cell", "order", "time"),
    [
        ("2024-01-31", "ymd", "2024-01-31 00:00:00"),
        ("2024/1/1 0:00", "ymd", "2024-01-01 00:00:00"),
        ("2024-01-31T23:59:58.5Z", "ymd", "2024-01-31 23:59:58.500000"),
        ("1949-03", "ymd", "1949-03-01 00:00:00"),
        ("31.12.99", "dmy", "1999-12-31 00:00:00"),
        ("31/1/2024 5:07", "dmy", "2024-01-31 05:07:00"),
        ("1/31/2024 12:05 AM", "mdy", "2024-01-31 00:05:00"),
        ("1/31/2024 3:15:20 PM", "mdy", "2024-01-31 15:15:20"),
        ("5-Jan-2024", "dmy", "2024-01-05 00:00:00"),
        ("January 5, 2024", "mdy", "2024-01-05 00:00:00"),
        ("Mon, 05 Feb 2024 10:00", "dmy", "2024-02-05 10:00:00"),
        ("2024-W05", "ymd", "2024-01-29 00:00:00"),
        ("2020W531", "ymd", "2020-12-28 00:00:00"),
        ("2024Q2", "ymd", "2024-04-01 00:00:00"),
        ("Q4 2024", "ymd", "2024-10-01 00:00:00"),
        ("31. März 2024", "dmy", "2024-03-31 00:00:00"),
        ("1 février 2024", "dmy", "2024-02-01 00:00:00"),
        ("2 de enero de 2024", "dmy", "2024-01-02 00:00:00"),
        ("March 3rd, 2024", "mdy", "2024-03-03 00:00:00"),
        ("Jan-21", "mdy", "2021-01-01 00:00:00"),
        ("03/2024", "mdy", "2024-03-01 00:00:00"),
        ("01.02.2024", "dmy", "2024-02-01 00:00:00"),
        ("1/31/2024 12PM", "mdy", "2024-01-31 12:00:00"),
        ("Wed Jan 31 23:59:58 2024", "mdy", "2024-01-31 23:59:58"),
        ("31/Jan/2024:23:59:58 +0000", "dmy", "2024-01-31 23:59:58"),
        ("14:30", "time", "1970-01-01 14:30:00"),
        ("31.12.68", "dmy", "2068-12-31 00:00:00"),
        ("31.12.69", "dmy", "1969-12-31 00:00:00"),
        ("1/31/2024 3:15 pm", "mdy", "2024-01-31 15:15:00"),
        ("2024-01-31 23:59:58,5", "ymd", "2024-01-31 23:59:58.500000"),
        ("2024-01-31 24:00", "ymd", "2024-02-01 00:00:00"),
        ("2016-12-31 23:59:60", "ymd", "2017-01-01 00:00:00"),
        ("2024-W05-3", "ymd", "2024-01-31 00:00:00"),
    ],
)
def test_forms(cell: str, order: str, time: str) -> None:
    assert possible_orders([cell, "", "NaT"]) == [order]
    assert clock(cell, order) == time


@pytest.mark.parametrize(
    "cell",
    [
        *("2024", "20240131", "2024-13-01", "31/31/2024", "1.2.3", "25:00", "10:75", "may be", ""),
        *("2024-W54", "2024Q5", "13/2024", "jui 2024", "Mandarin 2024", "31/6"),
        *("1/31/2024 0:30 AM", "1/31/2024 13:30 PM", "2024-01-31 10:00:61", "2024-01-31 24:01"),
    ],
)
def test_what_is_no_date(cell: str) -> None:
    assert not is_date_like(cell)


def test_digits_are_a_date_where_that_is_said() -> None:
    assert possible_orders(["20240131"], digits_too=True) == ["ymd"]
    assert clock("20240131", "ymd") == "2024-01-31 00:00:00"
    assert clock("202402", "ymd") == "2024-02-01 00:00:00"


def test_a_number_above_12_tells_day_and_month_apart() -> None:
    assert possible_orders(["1/2/2024", "3/4/2024"]) == ["dmy", "mdy"]
    assert possible_orders(["1/2/2024", "13/4/2024"]) == ["dmy"]
    assert possible_orders(["1/2/2024", "3/14/2024"]) == ["mdy"]
    assert possible_orders(["13/4/2024", "3/14/2024"]) == []
    assert possible_orders(["1.2.2024", "3/4/2024"]) == ["dmy", "mdy"]


def test_offsets_change_the_instant_and_not_the_clock() -> None:
    zones = {"+01:00": 3600, "-0530": -19800, "+02": 7200, "Z": 0, " UTC": 0, " GMT": 0}
    column = Column([*(f"2024-01-01 00:00{zone}" for zone in zones), ""])
    found = instants(column, range(len(column)), "f", "c", "ymd")
    assert (found.clock - found.utc)[:-1].tolist() == list(zones.values())
    assert np.isnan(found.utc[-1])


def test_quick_and_slow_ways_agree() -> None:
    cells = ["2024-02-29 12:00:00", "1969-12-31 23:59:59"]
    quick = instants(Column(cells), [1, 2], "f", "c", "ymd").utc
    slow = instants(Column([*cells, "NaT"]), [1, 2, 3], "f", "c", "ymd").utc
    assert quick.tolist() == slow[:2].tolist()


def test_a_cell_that_is_no_date_is_named() -> None:
    with pytest.raises(DataError, match=r"f, row 7, column 'c': '2024-01-31' is not a date like 31/1/2024"):
        instants(Column(["31/1/2024", "2024-01-31"]), [6, 7], "f", "c", "dmy")
    assert describe("time") == "time of day like 14:30"


@pytest.mark.parametrize(
    ("cells", "order"),
    [(["2024-01-31", "2024"], "ymd"), (["2024013112"], "ymd"), (["2024-02-30"], "ymd")],
)
def test_the_quick_way_reads_no_more_than_the_slow_one(cells: list[str], order: str) -> None:
    with pytest.raises(DataError, match="is not a date like"):
        instants(Column(cells), [1, 2], "f", "c", order)


@pytest.mark.parametrize("order", ["dmy", "mdy"])
def test_a_column_of_iso_dates_is_read_in_any_order(order: str):
    cells = ["2024-02-01", "2024-02-03 00:00:00", "NaT"]
    found, want = (instants(Column(cells), range(3), "f", "c", name) for name in (order, "ymd"))
    assert found.clock[:2].tolist() == want.clock[:2].tolist()
    assert np.isnan(found.clock[2])
