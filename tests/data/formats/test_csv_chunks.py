"""A CSV file is read in chunks with the row numbers of an editor; a row of another length does not end it."""

from __future__ import annotations

import io

import pytest

from ptrun.data.formats.csv_chunks import read_chunks
from ptrun.errors import DataError

TEXT = 'a;b\n1;"x\ny"\n\n2;z \n3\n4;w;v\n5;u\n'


def test_row_numbers_problems_and_quoted_line_ends():
    chunks = list(read_chunks(io.StringIO(TEXT, newline=""), "t.csv", 2))
    assert [chunk.rows for chunk in chunks] == [[3, 5], [6, 7], [8]]
    assert [chunk.file.columns for chunk in chunks] == [
        {"a": ["1", "2"], "b": ["x\ny", "z"]},
        {"a": [], "b": []},
        {"a": ["5"], "b": ["u"]},
    ]
    assert chunks[1].problems == {
        6: "it has 1 cells, but the file has 2 columns",
        7: "it has 3 cells, but the file has 2 columns",
    }


def test_rows_that_were_done_are_passed_over():
    (chunk,) = read_chunks(io.StringIO(TEXT, newline=""), "t.csv", 9, start=4)
    assert chunk.rows == [8]


def test_without_a_header():
    (chunk,) = read_chunks(io.StringIO("1,2\n3,4\n"), "t.csv", 9, header=False)
    assert chunk.file.columns == {"column 1": ["1", "3"], "column 2": ["2", "4"]}
    (chunk,) = read_chunks(io.StringIO("1,2\n"), "t.csv", 9, header=False, names=["p", "q"])
    assert chunk.file.columns == {"p": ["1"], "q": ["2"]}


@pytest.mark.parametrize(("text", "message"), [("", "is empty"), ("a,a\n1,2\n", "more than once")])
def test_files_that_are_no_table(text: str, message: str):
    with pytest.raises(DataError, match=message):
        list(read_chunks(io.StringIO(text), "t.csv", 9))


def test_a_delimiter_at_the_end_of_a_row_and_one_that_is_said():
    (chunk,) = read_chunks(io.StringIO("a|b\n1|2|\n3|4\n"), "t.csv", 9)
    assert chunk.file.columns == {"a": ["1", "3"], "b": ["2", "4"]}
    (chunk,) = read_chunks(io.StringIO("a:b\n1:2\n"), "t.csv", 9, delimiter=":")
    assert chunk.file.columns == {"a": ["1"], "b": ["2"]}
