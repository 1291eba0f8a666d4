"""The columns of a series are numbers in one form; gaps are filled from before, within a series."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.series_columns import choose_columns, filled, leading_gaps, read_values, restored
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import ConfigError, DataError

FILE = CsvFile(
    "a.csv",
    {
        "n": ["1", "2", "3", "4"],
        "day": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
        "euros": ["1,5", "", "2,5", "4,0"],
        "load": ["9", "8", "7", "1"],
        "note": ["a", "b", "a", "b"],
    },
    [2, 3, 4, 5],
    delimiter=";",
)


def test_all_columns_of_numbers() -> None:
    chosen = choose_columns(FILE, "auto", "auto", ColumnSettings(), [])
    assert chosen.names == chosen.targets == ("euros", "load")
    assert chosen.notes == (
        "Left out (they count the rows): n.",
        "Left out (dates beside the time column): day.",
        "Left out (no numbers in it): note.",
        "euros: numbers written with a decimal comma.",
    )
    assert restored(FILE, chosen.fitted()).forms == chosen.forms
    assert read_values(FILE, chosen, ())[:, 0].tolist()[2:] == [2.5, 4]
    assert choose_columns(FILE, "auto", ["load"], ColumnSettings(), ["euros"]).names == ("load",)


def test_named_columns() -> None:
    chosen = choose_columns(FILE, ["n", "euros"], "n", ColumnSettings(), [])
    assert (chosen.names, chosen.targets) == (("n", "euros"), ("n",))
    thousands = CsvFile("a.csv", {"x": ["1.234", "5.678"]}, [2, 3])
    chosen = choose_columns(thousands, ["x"], "auto", ColumnSettings(decimal=","), [])
    assert read_values(thousands, chosen, ()).ravel().tolist() == [1234, 5678]
    with pytest.raises(ConfigError, match=r"'load' is not among dataset\.columns"):
        choose_columns(FILE, ["n"], "load", ColumnSettings(), [])
    with pytest.raises(DataError, match="has no column of numbers"):
        choose_columns(FILE, "auto", "auto", ColumnSettings(), ["euros", "load"])


def test_gaps_are_filled_within_a_series_and_never_from_another() -> None:
    chosen = choose_columns(FILE, ["euros"], "auto", ColumnSettings(), [])
    values = read_values(FILE, chosen, ())
    assert filled(FILE, chosen, values, "forward_fill", [(0, 4)])[0].ravel().tolist() == [1.5, 1.5, 2.5, 4]
    assert leading_gaps(values, [(0, 4)]).tolist() == [False] * 4
    assert leading_gaps(values, [(0, 1), (1, 4)]).tolist() == [False, True, False, False]
    with pytest.raises(DataError, match=r"row 3, column 'euros': the value is missing\. There is none before it"):
        filled(FILE, chosen, values, "forward_fill", [(0, 1), (1, 4)])
    with pytest.raises(DataError, match=r"row 3, column 'euros': the value is missing\. Set dataset\.missing"):
        filled(FILE, chosen, values, "error", [(0, 4)])
    with pytest.raises(ConfigError, match="error or forward_fill"):
        filled(FILE, chosen, values, "drop", [(0, 4)])


def test_values_that_stand_for_missing_ones() -> None:
    chosen = choose_columns(FILE, ["load"], "auto", ColumnSettings(), [])
    assert np.isnan(read_values(FILE, chosen, ["1"])).ravel().tolist() == [False, False, False, True]


def test_numbers_that_are_too_long_to_calculate_with_are_left_out() -> None:
    file = CsvFile("a.csv", {"y": ["1", "5"], "code": ["12345678901234567890", "12345678901234567999"]}, [2, 3])
    chosen = choose_columns(file, "auto", "auto", ColumnSettings(), [])
    assert chosen.names == ("y",)
    assert chosen.notes == ("Left out (whole numbers too long to calculate with): code.",)


def test_a_column_without_any_value_is_left_out() -> None:
    file = CsvFile("a.csv", {"y": ["1", "5", "3"], "empty": ["", "NA", ""]}, [2, 3, 4])
    chosen = choose_columns(file, "auto", "auto", ColumnSettings(), [])
    assert chosen.names == ("y",)
    assert chosen.notes == ("Left out (no value in any row): empty.",)
