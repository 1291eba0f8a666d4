"""Several series in a file are told apart; rows come in the order of time, or the reason is named."""

from __future__ import annotations

import pytest

from ptrun.data.features.groups import Groups, find_groups
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.timeline import read_axis
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import DataError

DAYS = [f"2024-01-{i + 1:02}" for i in range(10)]


def groups(
    columns: dict[str, list[str]], group: str | list[str] | None = "auto", time_column: str | None = "auto"
) -> Groups:
    file = CsvFile("a.csv", columns, list(range(2, 2 + len(next(iter(columns.values()))))))
    return find_groups(file, read_axis(file, time_column, ColumnSettings()), group)


def test_one_series() -> None:
    found = groups({"day": DAYS, "y": ["1"] * 10})
    assert (found.columns, found.stretches, found.notes) == ((), ((0, 10),), ())
    assert groups({"y": ["1", "2"]}, time_column=None).order.tolist() == [0, 1]


def test_newest_first_is_turned_round() -> None:
    found = groups({"day": DAYS[::-1], "y": ["1"] * 10})
    assert found.order.tolist() == list(range(9, -1, -1))
    assert "newest row stood first" in found.notes[0]


def test_series_side_by_side_and_one_after_the_other() -> None:
    side_by_side = groups({"day": [day for day in DAYS for _ in "ab"], "shop": ["7", "9"] * 10, "y": ["1"] * 20})
    assert side_by_side.columns == ("shop",)
    assert side_by_side.order.tolist() == [*range(0, 20, 2), *range(1, 20, 2)]
    assert side_by_side.stretches == ((0, 10), (10, 20))
    newest_first = groups({"day": [day for day in DAYS[::-1] for _ in "ab"], "shop": ["7", "9"] * 10, "y": ["1"] * 20})
    assert newest_first.columns == ("shop",)
    assert newest_first.order.tolist() == [*range(18, -1, -2), *range(19, 0, -2)]
    stacked = groups({"day": DAYS + DAYS[::-1], "shop": ["b"] * 10 + ["a"] * 10}, "shop")
    assert stacked.names == ("b", "a")
    assert stacked.order.tolist() == [*range(10), *range(19, 9, -1)]
    assert "2 series in one file, told apart by 'shop': b, a" in stacked.notes[0]


def test_two_columns_can_tell_series_apart() -> None:
    columns = {
        "day": [day for day in DAYS for _ in range(4)],
        "shop": ["a", "a", "b", "b"] * 10,
        "item": ["x", "y"] * 20,
    }
    assert groups(columns, ["shop", "item"]).names == ("a x", "a y", "b x", "b y")
    with pytest.raises(
        DataError,
        match=r"row 3, column 'day': the time '2024-01-01' stands there more than once.*dataset\.group=\[shop,item\]",
    ):
        groups(columns)


def test_a_single_repeated_time_makes_no_series_of_a_column() -> None:
    columns = {"day": [*DAYS[:5], DAYS[4], *DAYS[5:]], "y": ["1", "2"] * 5 + ["1"]}
    assert groups(columns).columns == ()


def test_rows_out_of_order_are_named() -> None:
    with pytest.raises(DataError, match=r"row 12, column 'day': '2024-01-01' is earlier than .*dataset\.group"):
        groups({"day": [*DAYS, DAYS[0], DAYS[1]], "y": ["1"] * 12})
    with pytest.raises(DataError, match=r"dataset\.group: .*no column 'shp'"):
        groups({"day": DAYS}, "shp")


def test_measured_values_tell_no_series_apart() -> None:
    columns = {"day": [day for day in DAYS for _ in "ab"], "y": [f"{i % 4}.5" for i in range(20)]}
    with pytest.raises(DataError, match="stands there more than once"):
        groups(columns)
