"""What training rows did not hold is counted in new rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptrun.data.features.columns import encode_columns, fit_columns
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.unusual import unusual_cells
from ptrun.data.formats.csv_file import CsvFile

ROWS = 40


def rows(columns: dict[str, list[str]]) -> CsvFile:
    return CsvFile("a.csv", columns, list(range(2, len(next(iter(columns.values()))) + 2)))


def training(**changes: list[str]) -> CsvFile:
    return rows(
        {
            "size": [str(i % 9) for i in range(ROWS)],
            "price": [f"{i % 7}.50 EUR" for i in range(ROWS)],
            "day": [f"{1 + i % 28}/1/2024" for i in range(ROWS)],
            "kind": ["ab"[i % 2] for i in range(ROWS)],
            **changes,
        }
    )


def counted(trained: CsvFile, new: dict[str, list[str]], **settings: Any) -> dict[str, int]:
    encodings, _ = fit_columns(trained, list(trained.columns), np.arange(ROWS), ColumnSettings(**settings))
    file = rows(new)
    return unusual_cells(file, encodings, encode_columns(file, encodings, ""))


USUAL = {
    "size": ["4", "0", "8"],
    "price": ["3.50 EUR"] * 3,
    "day": ["14/1/2024", "15/1/2024", "3/1/2024"],
    "kind": ["a"] * 3,
}


def test_usual_rows():
    assert counted(training(), USUAL) == {}
    assert counted(training(), {name: [] for name in USUAL}) == {}


def test_categories_and_ranges():
    new = USUAL | {"kind": ["a", "c", "d"], "size": ["9", "-1", "3"], "day": ["31/1/2024", "1/1/2024", "2/1/2024"]}
    assert counted(training(), new) == {
        "column 'kind': a category that training rows lack": 2,
        "column 'size': a number outside of those in training (0 to 8)": 2,
        "column 'day': a date outside of those in training (2024-01-01 to 2024-01-28)": 1,
    }


@pytest.mark.parametrize("name", ["size", "price", "day", "kind"])
def test_missing_values_where_training_missed_none(name: str):
    new = USUAL | {name: [USUAL[name][0], "", "NA"]}
    assert counted(training(), new) == {f"column '{name}': a missing value, which training rows lack": 2}
    missed = training()[name].texts()
    missed[3] = ""
    assert counted(training(**{name: missed}), new) == {}


def test_a_number_that_stands_for_a_missing_value():
    new = USUAL | {"size": ["-200", "4", "3"]}
    text = "column 'size': a missing value, which training rows lack"
    assert counted(training(), new, missing_values=["-200"]) == {text: 1}
