"""Every column is told, or counted when there are many, those out of the ordinary first."""

from __future__ import annotations

import numpy as np

from ptrun.data.features.column_report import MAX_LINES, date_text
from ptrun.data.features.columns import fit_columns
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.formats.csv_file import CsvFile


def notes(columns: dict[str, list[str]]) -> list[str]:
    file = CsvFile("a.csv", columns, list(range(4)))
    return fit_columns(file, list(columns), np.arange(4), ColumnSettings())[1]


def test_a_line_for_each_column() -> None:
    assert notes(
        {
            "size": ["1.5", "2", "", "9"],
            "price": ["1,5", "2,5", "3,5", "9,5"],
            "day": ["13/1/2024", "14/1/2024", "15/1/2024", "15/1/2024"],
            "town": ["a", "b", "a", "a"],
            "id": ["3", "1", "2", "4"],
        }
    ) == [
        "size: numbers from 1.5 to 9; missing in 1 training rows, set to the median and marked by an extra feature.",
        "price: numbers from 1.5 to 9.5, written with a decimal comma.",
        "day: dates from 2024-01-13 to 2024-01-15, as a number, day of year, day of week.",
        "town: 2 categories (a, b).",
        "Left out (they count the rows): id.",
    ]


def test_of_many_columns_those_out_of_the_ordinary_are_told() -> None:
    many = {f"x{i}": [str(i), "7", "8", "3.5"] for i in range(MAX_LINES + 3)}
    lines = notes(many | {"odd": ["$1", "$2", "$3", "$5"], "t": ["a", "b", "b", "a"]})
    assert lines[0] == "odd: numbers from 1 to 5, written with a sign ($)."
    assert lines[-1] == "And 5 more columns: 4 of numbers, 1 of categories."
    assert len(lines) == MAX_LINES + 1


def test_dates_are_written_as_far_as_they_tell() -> None:
    assert [date_text(days) for days in (0, 0.5, 1 + 1 / 86400)] == [
        "1970-01-01",
        "1970-01-01 12:00",
        "1970-01-02 00:00:01",
    ]
