"""A CSV file is read in chunks with the row numbers of an editor; a row of another length does not end it."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest

from ptrun.data.formats.csv_chunks import ALL, CsvChunk, Wanted, read_chunks, read_file_chunks
from ptrun.errors import DataError

TEXT = 'a;b\n1;"x\ny"\n\n2;z \n3\n4;w;v\n5;u\n'


def test_row_numbers_problems_and_quoted_line_ends():
    chunks = list(read_chunks(io.StringIO(TEXT, newline=""), "t.csv", 2))
    assert [list(chunk.rows) for chunk in chunks] == [[3, 5], [6, 7], [8]]
    assert [chunk.file.columns for chunk in chunks] == [
        {"a": ["1", "2"], "b": ["x\ny", "z"]},
        {"a": [], "b": []},
        {"a": ["5"], "b": ["u"]},
    ]
    assert chunks[1].problems == {
        6: "it has 1 cells, but the file has 2 columns",
        7: "it has 3 cells, but the file has 2 columns",
    }


def test_cells_have_no_blanks_around_them_and_the_file_its_delimiter():
    chunks = list(read_chunks(io.StringIO("a;b\n\t1 ;\tx\n2;\ty \n 3; z\n"), "t.csv", 1))
    assert [chunk.file.columns for chunk in chunks] == [
        {"a": ["1"], "b": ["x"]},
        {"a": ["2"], "b": ["y"]},
        {"a": ["3"], "b": ["z"]},
    ]
    assert [(chunk.file.delimiter, chunk.file.has_header) for chunk in chunks] == [(";", True)] * 3


def test_rows_that_were_done_are_passed_over():
    (chunk,) = read_chunks(io.StringIO(TEXT, newline=""), "t.csv", 9, start=4)
    assert chunk.rows == [8]


def test_without_a_header():
    (chunk,) = read_chunks(io.StringIO("1,2\n3,4\n"), "t.csv", 9, header=False)
    assert chunk.file.columns == {"column 1": ["1", "3"], "column 2": ["2", "4"]}
    (chunk,) = read_chunks(io.StringIO("1,2\n"), "t.csv", 9, header=False, names=["p", "q"])
    assert chunk.file.columns == {"p": ["1"], "q": ["2"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is empty"), ("a,a\n1,2\n", "more than once"), (f"a,b\n{'x' * 200_000},1\n", r"t\.csv can't be read as CSV")],
)
def test_files_that_are_no_table(text: str, message: str):
    with pytest.raises(DataError, match=message):
        list(read_chunks(io.StringIO(text), "t.csv", 9))


def test_a_delimiter_at_the_end_of_a_row_and_one_that_is_said():
    (chunk,) = read_chunks(io.StringIO("a|b\n1|2|\n3|4\n"), "t.csv", 9)
    assert chunk.file.columns == {"a": ["1", "3"], "b": ["2", "4"]}
    (chunk,) = read_chunks(io.StringIO("a:b\n1:2\n"), "t.csv", 9, delimiter=":")
    assert chunk.file.columns == {"a": ["1"], "b": ["2"]}


def cells_of(chunks: Iterable[CsvChunk]) -> list[object]:
    """Row number and cells, or problem, of each row."""
    rows: list[object] = []
    for chunk in chunks:
        cells = zip(*chunk.file.columns.values(), strict=True)
        rows += [(n, chunk.problems[n]) if n in chunk.problems else (n, *next(cells)) for n in chunk.rows]
    return rows


@pytest.mark.parametrize(
    "lines",
    [
        ["1, x ,2.5"] * 9,
        ['1,"x, y",2', "3,4,5", '6,"a ""b""",7', "8,9,10"] * 3,
        ["1,2,3", "", '4,"5', '6",7', "  ", "8,9,10"] * 3,
        ["1,2,3"] * 4 + ["4,5"] + ["6,7,8"] * 4 + ["9,9,9,9"] + ["1,2,3"] * 4,
        ['1, "a",2', '3,b"c,4', '5,6,"7" '] * 4,
        ["1,2,3,", "4,5,6,"] * 6,
        ['1,2,"unclosed', *["3,4,5"] * 9],
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_chunks_that_arrow_reads_are_those_of_the_csv_module(lines: list[str], line_end: str):
    text = line_end.join(["a,b,c", *lines])
    whole = cells_of(read_chunks(io.StringIO(text, newline=""), "t.csv", 1000))  # one chunk, by the csv module
    for chunk_rows, start in itertools.product((1, 2, 5), (0, 3)):
        chunks = list(read_chunks(io.StringIO(text, newline=""), "t.csv", chunk_rows, start=start))
        assert cells_of(chunks) == whole[start:]
        assert all(len(chunk.rows) == chunk_rows for chunk in chunks[:-1])


def test_a_parquet_file_is_read_in_chunks(tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"a": list(range(10)), "b": ["x", None] * 5})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=3)
    chunks = list(read_file_chunks(tmp_path / "t.parquet", 4, start=5))
    assert [list(chunk.rows) for chunk in chunks] == [[6, 7, 8], [9, 10]]
    assert cells_of(chunks) == [(i, str(i - 1), "" if i % 2 == 0 else "x") for i in range(6, 11)]
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=r"bad.parquet can't be read as Parquet"):
        list(read_file_chunks(tmp_path / "bad.parquet", 4))


def test_rows_are_read_when_they_are_asked_for():
    lines = iter(["a,b\n", *(f"{i},{i}\n" for i in range(1000))])
    chunks = read_chunks(lines, "t.csv", 100)
    next(chunks), next(chunks)
    assert len(list(lines)) == 800


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n" + "1,x\n" * 9,
        "\ufeffa,b\r\n" + "1,x\r\n" * 9,
        "a,b\r" + "1,x\r" * 9,
        "a,b\n" + "1,x\n" * 5 + "2,y\r3,z\n" + "1,x\n" * 5,
        "a,b\n" + '1,"x\ny"\n' * 5 + '2,"v\rw"\n' + "1,é\n" * 5,
        "a,b",
        "a,b\n\n" + "1, x \n\n" * 9,
    ],
)
def test_a_file_is_read_as_its_text_is(tmp_path: Path, text: str):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    with path.open(encoding="utf-8-sig", newline="") as lines:
        expected = [*read_chunks(lines, str(path), 1000)]
    for chunk_rows, wanted in itertools.product((1, 2, 4), (ALL, Wanted(["a"], ["a"]), Wanted(None, ["a", "b"]))):
        chunks = [*read_file_chunks(path, chunk_rows, wanted=wanted)]
        names = ["a", "b"] if wanted.columns is None else ["a"]
        for name in names:
            cells = [cell for chunk in chunks for cell in chunk.file[name]]
            assert cells == [cell for chunk in expected for cell in chunk.file[name]]
        assert [n for chunk in chunks for n in chunk.rows] == [n for chunk in expected for n in chunk.rows]


def test_bytes_that_are_no_text_are_found_in_any_column(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"1,x\n" * 9 + b"2,\xe9\n")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        list(read_file_chunks(path, 2, wanted=Wanted(["a"], ["a"])))
