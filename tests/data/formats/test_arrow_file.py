"""Large CSV files and Parquet files give what Python's csv module gives: the same cells, rows and errors."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from ptrun.data.formats import arrow_file, csv_file
from ptrun.data.formats.arrow_file import read_columns
from ptrun.data.formats.csv_dialect import Dialect
from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.errors import DataError


def both(path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[CsvFile, CsvFile]:
    """A file as Python's module and as Arrow read it."""
    path.write_text(text, encoding="utf-8", newline="")
    by_python = read_csv(path)
    monkeypatch.setattr(csv_file, "LARGE_BYTES", 0)
    return by_python, read_csv(path)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4",
        "\ufeffa,b\n1,2\n",
        "a,b\n\n1,2\n\n\n3,4\n",
        'a,b\n"x, y","line\nbreak"\n1,"say ""hi"""\n',
        'a,b\n1, "spaced, quote"\n2, x \n',
        "a;b\n1,5; 2,5\n",
        "a,b\n1,2,\n3,4,\n",
        'a,b\n5" pipe,2\n',
        "a,b\nä\u00a0, ö\n",
        "a,b\r1,2\r3,4\r",
        'a,"b\nc"\n1,2\n3,4\n',
    ],
)
def test_both_parsers_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    by_python, by_arrow = both(tmp_path / "a.csv", monkeypatch, text)
    assert by_arrow.columns == by_python.columns
    assert list(by_arrow.rows) == list(by_python.rows)
    assert by_arrow.notes == by_python.notes


def test_both_parsers_agree_on_drawn_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    pieces = ["a", " ", '"', ",", "\n", "é", "1.5", "", "NA", "'", ";"]
    rows = [["".join(draw.choices(pieces, k=draw.randrange(5))) for _ in range(3)] for _ in range(400)]
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["x", "y", "z"], *rows])
    by_python, by_arrow = both(path, monkeypatch, path.read_text(encoding="utf-8"))
    assert by_arrow.columns == by_python.columns
    assert list(by_arrow.rows) == list(by_python.rows)


@pytest.mark.parametrize("head", ["n,x,word,late,some\n", "\ufeffn,x,word,late,some\r\n"])
def test_a_file_that_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str) -> None:
    monkeypatch.setattr(arrow_file, "PIECE_BYTES", 300)
    monkeypatch.setattr(arrow_file, "_SCAN_BYTES", 100)
    lines = [
        f"{i},{i / 7:.3f},{'ä b' if i % 5 else 'w'},{i if i < 150 else 'x'},{'' if i % 3 else i}" for i in range(200)
    ]
    by_python, by_arrow = both(tmp_path / "a.csv", monkeypatch, head + "\n".join(lines))
    assert by_arrow.columns.keys() == by_python.columns.keys()
    for name, column in by_arrow.columns.items():
        floats, expected = column.floats, by_python[name].floats
        assert (floats is None) == (expected is None)
        assert floats is None or np.array_equal(floats, expected, equal_nan=True)  # type: ignore[arg-type]
    assert by_arrow.columns == by_python.columns
    assert list(by_arrow.rows) == list(by_python.rows)


def test_arrow_reads_plain_files_and_leaves_odd_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    columns, rows = read_columns(path, Dialect(",", ("a", "b"))) or ({}, range(0))
    assert columns == {"a": ["1", "3"], "b": ["2", "4"]}
    assert rows == range(2, 4)
    path.write_text('a,b\n1, "2"\n')
    assert read_columns(path, Dialect(",", ("a", "b"))) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b\n1,2\n3\n", "row 3: it has 1 cells"), ("a,b\n1,2\n3,4,5\n", "row 3: it has 3"), ("a,b\n", "no data rows")],
)
def test_errors_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setattr(csv_file, "LARGE_BYTES", 0)
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "a.csv")


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = {"x": [1.5, None, 0.1], "n": [1, 2**62 + 1, 3], "t": ["a", " b", None], "ok": [True, False, True]}
    parquet.write_table(pyarrow.table(table), path)
    file = read_csv(path)
    assert file.columns == {
        "x": ["1.5", "", "0.1"],
        "n": ["1", "4611686018427387905", "3"],
        "t": ["a", "b", ""],
        "ok": ["true", "false", "true"],
    }
    assert list(file.rows) == [1, 2, 3]


def test_what_is_no_parquet_file_or_no_table_of_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.parquet can't be read as Parquet"):
        read_csv(path)
    parquet.write_table(pyarrow.table({"x": [[1, 2], [3]]}), path)
    with pytest.raises(DataError, match=r"column 'x': list<.*> can't be read as cells"):
        read_csv(path)


def test_a_parquet_file_that_repeats_a_name(tmp_path: Path) -> None:
    table = pyarrow.table([pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet has the column 'a' more than once"):
        read_csv(tmp_path / "x.parquet")
