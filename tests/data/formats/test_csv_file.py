"""CSV files are read as editors and spreadsheets show them; bad cells and rows are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.data.formats.csv_file import CsvFile, read_csv
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
        (b"\x1f\x8b\x08\x00", "is compressed by gzip"),
        (b"PK\x03\x04\xff", "is an Excel workbook or another zip archive"),
    ],
)
def test_bad_files(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(tmp_path, text)


def test_a_row_that_does_not_fit_the_names_given(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("1,2\n3,4\n")
    with pytest.raises(DataError, match=r"row 1: it has 2 cells, but 3 columns are expected \(see dataset\.columns\)"):
        read_csv(path, ["a", "b", "c"])


def test_unknown_column_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"dataset\.target: .*no column 'pirce'\. Did you mean 'price'\? It has: size, price"
    ):
        parse(tmp_path, "size,price\n1,2\n").column("pirce", "dataset.target")


def test_a_delimiter_at_the_end_of_some_rows_is_passed_over(tmp_path: Path) -> None:
    file = parse(tmp_path, "a,b\n1,2\n3,4,\n")
    assert file.columns == {"a": ["1", "3"], "b": ["2", "4"]}
    assert file.notes == ()
    assert "ends in a delimiter" in parse(tmp_path, "a,b\n1,2,\n3,4,\n").notes[0]


def test_a_missing_header_line_is_said_with_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("1.5,2\n3,4\n5,6\n")
    file = read_csv(path, header="auto")
    assert file.columns == {"column 1": ["1.5", "3", "5"], "column 2": ["2", "4", "6"]}
    assert file.rows == [1, 2, 3]
    assert "set dataset.header=true" in file.notes[0]
    with pytest.raises(DataError, match=r"no column 'y'.*without a header line.*dataset\.header=true"):
        file.column("y", "dataset.target")
    assert list(read_csv(path, header=True).columns) == ["1.5", "2"]


def test_take_keeps_rows_and_columns(tmp_path: Path) -> None:
    taken = parse(tmp_path, ",b\n1,2\n3,4\n").take([1])
    assert taken.columns == {"column 1": ["3"], "b": ["4"]}
    assert taken.rows == [3]
    assert taken.nameless == {"column 1"}
