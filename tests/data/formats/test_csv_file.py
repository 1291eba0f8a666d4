"""CSV files are read as editors and spreadsheets show them; bad cells and rows are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.data.formats.number_form import numbers, numbers_or_none
from ptrun.errors import DataError


def parse(tmp_path: Path, text: str | bytes, names: list[str] | None = None) -> CsvFile:
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_csv(path, names)


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
def test_separator_is_found_and_spaces_are_stripped(tmp_path: Path, separator: str) -> None:
    file = parse(tmp_path, separator.join(["a", "b"]) + "\n" + separator.join(["x", '"y"']) + "\n")
    assert file.columns == {"a": ["x"], "b": ["y"]}


def test_decimal_commas_do_not_hide_a_semicolon(tmp_path: Path) -> None:
    assert parse(tmp_path, "a;b\n1,5;2,5\n").columns == {"a": ["1,5"], "b": ["2,5"]}


def test_rows_are_numbered_as_in_an_editor(tmp_path: Path) -> None:
    file = parse(tmp_path, '\ufeffa,b\n1,2\n\n3,"two\nlines"\n5,6\n')
    assert list(file.columns) == ["a", "b"]
    assert file.rows == [2, 5, 6]


def test_names_for_a_file_without_header(tmp_path: Path) -> None:
    assert parse(tmp_path, "1,2\n3,4\n", ["a", "b"]).columns == {"a": ["1", "3"], "b": ["2", "4"]}


def test_single_column(tmp_path: Path) -> None:
    assert parse(tmp_path, "a\n1\n\n2\n").columns == {"a": ["1", "2"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "no data rows"),
        ("a,b,a\n1,2,3\n", "header has 'a' more than once"),
        ("a,b\n1,2\n3\n", "row 3: it has 1 cells, but the file has 2 columns"),
        ("a,b\n1,2\n3,4,5\n", "row 3: it has 3 cells"),
        (b"a,b\n\xff\xfe,2\n", "not UTF-8"),
    ],
)
def test_bad_files(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(tmp_path, text)


def test_unknown_column_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"dataset\.target: .*no column 'pirce'\. Did you mean 'price'\? It has: size, price"
    ):
        parse(tmp_path, "size,price\n1,2\n").column("pirce", "dataset.target")


def test_missing_and_infinite_numbers_are_nan() -> None:
    values = numbers(["1", "", "NA", "?", "null", "inf", "-2.5e1"], range(7), "f", "c")
    assert np.array_equal(values, [1, np.nan, np.nan, np.nan, np.nan, np.nan, -25], equal_nan=True)


def test_text_among_numbers_is_named() -> None:
    with pytest.raises(DataError, match="f, row 9, column 'c': 'x' is not a number"):
        numbers(["1", "x"], [8, 9], "f", "c")
    with pytest.raises(DataError, match="decimal point"):
        numbers(["1,5"], [2], "f", "c")


def test_names_with_underscores_are_no_numbers() -> None:
    assert numbers_or_none(["1_2"]) is None
