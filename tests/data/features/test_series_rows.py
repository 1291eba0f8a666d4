"""The rows of a series: in order, without the rows that nothing can fill, with what is odd about their times told."""

from __future__ import annotations

import pytest

from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.series_columns import choose_columns
from ptrun.data.features.series_rows import (
    FilledRows,
    OrderedRows,
    fill_rows,
    notes_on_length,
    notes_on_time,
    order_rows,
    steps_of,
)
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import ConfigError, DataError

SETTINGS = ColumnSettings()


def rows_of(columns: dict[str, list[str]], group: str | None = "auto") -> OrderedRows:
    count = len(next(iter(columns.values())))
    return order_rows(CsvFile("a.csv", columns, list(range(2, 2 + count))), "auto", group, SETTINGS, None)


def filled(rows: OrderedRows, *, may_cut: bool = True) -> FilledRows:
    chosen = choose_columns(rows.file, ["y"], "auto", SETTINGS, [])
    return fill_rows(rows, chosen, SETTINGS, "forward_fill", may_cut=may_cut)


def days(numbers: list[int]) -> list[str]:
    return [f"2024-01-{i:02}" for i in numbers]


def test_rows_keep_their_numbers_when_they_are_turned_round() -> None:
    rows = rows_of({"day": days([3, 2, 1]), "y": ["30", "20", "10"]})
    assert rows.file.columns["y"] == ["10", "20", "30"]
    assert list(rows.file.rows) == [4, 3, 2]
    assert rows.axis.cells[0] == "2024-01-01"
    chosen = choose_columns(rows.file, ["y"], "auto", SETTINGS, [])
    assert fill_rows(rows, chosen, SETTINGS, "error", may_cut=True).num_cut == 0


def test_the_empty_beginning_of_each_series_is_left_out() -> None:
    columns = {"day": days([1, 2, 3, 1, 2, 3]), "shop": ["a"] * 3 + ["b"] * 3, "y": ["", "2", "", "4", "", "6"]}
    table = filled(rows_of(columns, "shop"))
    assert table.num_cut == 1
    assert list(table.rows.axis.cells) == days([2, 3, 1, 2, 3])
    assert filled(table.rows).num_cut == 0
    assert table.values.ravel().tolist() == [2, 2, 4, 4, 6]
    assert list(table.rows.stretches) == [(0, 2), (2, 5)]
    with pytest.raises(DataError, match="row 2, column 'y': the value is missing"):
        filled(rows_of(columns, "shop"), may_cut=False)
    with pytest.raises(DataError, match="no value in any row"):
        filled(rows_of({"day": days([1, 2]), "y": ["", ""]}))


def test_a_series_without_any_value_is_left_out_with_its_name() -> None:
    columns = {"day": days([1, 2, 3] * 3), "shop": [*"aaabbbccc"], "y": ["", "", "", "4", "5", "6", "", "8", "9"]}
    rows = filled(rows_of(columns, "shop")).rows
    assert rows.groups.names == ("b", "c")
    assert list(rows.stretches) == [(0, 3), (3, 5)]
    assert rows.groups.order.tolist() == [3, 4, 5, 7, 8]


def test_what_is_odd_about_the_times_is_told() -> None:
    numbers = [*range(1, 9), 9, 9, *range(10, 16), *range(20, 29), 30]
    rows = rows_of({"day": days(numbers), "y": [str(i) for i in numbers]})
    notes = notes_on_time(rows, steps_of(rows, "ignore"))
    assert notes == [
        "Time column 'day', from 2024-01-01 to 2024-01-30, in steps of 1 day.",
        "A single row is missing at 1 places: after 2024-01-28 (row 26).",
        "Times that stand twice: 2024-01-09 (row 11). Remove a row of each.",
    ]
    with pytest.raises(ConfigError, match=r"dataset\.gaps is 'cut'; it can be auto or ignore"):
        steps_of(rows, "cut")


def test_gaps_are_told_with_their_places() -> None:
    numbers = [*range(1, 16), *range(20, 29)]
    rows = rows_of({"day": days(numbers), "y": [str(i) for i in numbers]})
    assert "Gaps or changes of step, which no window crosses: 1, after 2024-01-15 (row 16)." in " ".join(
        notes_on_time(rows, steps_of(rows, "auto"))
    )


def test_without_a_time_column_the_order_is_taken_as_it_is() -> None:
    rows = rows_of({"month": ["12", "1", "2"], "y": ["1", "2", "3"]})
    assert rows.notes == ("Taken as data and not as the time, because the numbers do not ascend: month.",)
    assert notes_on_time(rows, steps_of(rows, "auto"))[0].startswith("No time column found")


def test_numbers_that_begin_anew_in_each_series_are_its_time() -> None:
    cycles = [str(i) for i in [*range(1, 9), *range(1, 13)]]
    rows = rows_of({"unit": ["1"] * 8 + ["2"] * 12, "cycle": cycles, "y": [str(i * i % 7) for i in range(20)]})
    assert rows.axis.columns == ("cycle",)
    assert rows.stretches == ((0, 8), (8, 20))


@pytest.mark.parametrize("group", ["unit", ["unit"]])
def test_series_whose_column_is_named_may_have_a_time_that_begins_anew(group: str | list[str]) -> None:
    columns = {"unit": [*"aaabbbb"], "cycle": [*"1231234"], "y": [*"3141592"]}
    file = CsvFile("a.csv", columns, list(range(2, 9)))
    rows = order_rows(file, "auto", group, SETTINGS, None)
    assert rows.axis.columns == ("cycle",)
    assert rows.stretches == ((0, 3), (3, 7))
    assert order_rows(file, "auto", None, SETTINGS, None).axis.columns == ()


def test_new_rows_are_told_apart_as_in_training() -> None:
    columns = {"day": days([1, 2, 3, 1]), "shop": [*"aaab"], "code": [*"xxxx"], "y": ["1"] * 4}
    file = CsvFile("a.csv", columns, [2, 3, 4, 5])
    rows = order_rows(file, "auto", "auto", SETTINGS, {"group": ["shop"]})
    assert rows.groups.names == ("a", "b")
    odd = CsvFile("a.csv", {"when": [f"~{i}~" for i in range(9)], "y": ["1"] * 9}, list(range(9)))
    assert order_rows(odd, "auto", "auto", SETTINGS, {"columns": ["y"]}).axis.columns == ()


def test_blocks_of_rows_that_may_be_series_are_told() -> None:
    mixed = rows_of({"shop": ["a", "b"] * 6, "y": [str(i * i % 7) for i in range(12)]})
    assert mixed.notes == ()
    rows = rows_of({"shop": ["a"] * 6 + ["b"] * 6, "y": [str(i * i % 7) for i in range(12)]})
    assert "set dataset.group=shop" in rows.notes[0]


def test_texts_that_look_like_a_time_are_refused() -> None:
    columns = {"when": [f"~{i:02}~2024" for i in range(1, 13)], "y": ["1"] * 12}
    with pytest.raises(DataError, match=r"column 'when': '~01~2024' looks like a time.*dataset\.time_column=null"):
        rows_of(columns)


def test_series_that_are_too_short_are_told() -> None:
    days_of = days([1, 2, 3, 4, 5, 6, 1, 2, 3])
    rows = rows_of({"day": days_of, "shop": ["a"] * 6 + ["b"] * 3, "y": ["1"] * 9})
    assert notes_on_length(rows, 4) == ["Series that are too short to use, which need 4 rows: b (3 rows)."]
    assert notes_on_length(rows, 3) == []
