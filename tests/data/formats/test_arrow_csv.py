"""What is parsed as numbers at once is, cell for cell and column for column, what texts would have become."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ptrun.data.features.kinds import ColumnSettings, decide_kinds
from ptrun.data.formats import arrow_csv, arrow_file, csv_file
from ptrun.data.formats.arrow_csv import BlockParser
from ptrun.data.formats.csv_dialect import Dialect
from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.errors import DataError

ROWS = 60
NUMBERS = ["1.5", "-2", "3e2", ".5", "5.", "0.1", "007"]
COLUMNS: dict[str, Callable[[int], str]] = {
    "plain": lambda i: NUMBERS[i % 7],
    "integers": lambda i: str(7 * i - 100),
    "counts the rows": lambda i: str(i + 1),
    "order_id": lambda i: str(1000 + 3 * i),
    "zeros before": lambda i: f"{i % 9:05d}",
    "long ids": lambda i: str(10**17 + i % 5),
    "long ids at the end": lambda i: str(2**53 + i) if i > 50 else str(i % 7),
    "beyond int64": lambda i: str(10**25 + i),
    "huge and tiny": lambda i: ["1e400", "-1e400", "1e-400", "1e308", "2.2250738585072014e-308"][i % 5],
    "infinite": lambda i: ["inf", "-inf", "Infinity", "1"][i % 4],
    "missing": lambda i: ["", "?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "4"][i % 12],
    "missing with spaces": lambda i: [" NA ", " ", "\t4", " 5 ", "6"][i % 5],
    "missing at first": lambda i: "" if i < 40 else str(i),
    "missing everywhere": lambda i: "",
    "signs": lambda i: ["+1.5", "+2", "-3", "4"][i % 4],
    "a sign at the end": lambda i: "+5" if i == ROWS - 1 else "5.5",
    "a text at the end": lambda i: "x" if i == ROWS - 1 else str(i % 13),
    "a text in the middle": lambda i: "unknown" if i == 30 else str(i % 13),
    "texts, then numbers": lambda i: "a" if i < 5 else str(i % 3),
    "underscores": lambda i: ["1_000", "2_000"][i % 2],
    "hexadecimal": lambda i: ["0x10", "0x2"][i % 2],
    "decimal commas": lambda i: f"{i % 7},{i % 10}",
    "thousands": lambda i: f"{1 + i % 7}.{i:03d}",
    "percent": lambda i: f"{i % 7}.5%",
    "percent at the end": lambda i: "5%" if i == ROWS - 1 else "5",
    "dollars": lambda i: f"${i % 7}.5",
    "brackets": lambda i: f"({i % 7})" if i % 2 else str(i % 7),
    "sentinel": lambda i: "-999" if i % 5 == 0 else str(i / 7),
    "classes": lambda i: ["NA", "yes", "no"][i % 3],
    "no and numbers": lambda i: ["None", "1", "2"][i % 3],
    "booleans": lambda i: ["true", "false"][i % 2],
    "dates": lambda i: f"2024-01-{1 + i % 28:02d}",
    "years": lambda i: str(1990 + i % 20),
    "digits of dates": lambda i: f"202401{1 + i % 28:02d}",
    "other digits": lambda i: ["١", "٢"][i % 2],
    "minus of typesetters": lambda i: ["−5", "6"][i % 2],
    "spaces of typesetters": lambda i: ["\u00a05", "6\u00a0"][i % 2],
    "nan with words": lambda i: ["nan", "NAN", "1"][i % 3],
    "Unnamed: 0": str,
}


def read_both(path: Path, monkeypatch: pytest.MonkeyPatch, *, pieces: bool = True) -> tuple[CsvFile, CsvFile]:
    """A file as Python's module reads it, and as Arrow reads it, in pieces of few lines."""
    monkeypatch.setattr(csv_file, "LARGE_BYTES", 2**40)
    by_python = read_csv(path, delimiter=";")
    monkeypatch.setattr(csv_file, "LARGE_BYTES", 0)
    if pieces:
        monkeypatch.setattr(arrow_file, "PIECE_BYTES", 1)
        monkeypatch.setattr(arrow_file, "_SCAN_BYTES", 2000)
    return by_python, read_csv(path, delimiter=";")


def kind_of(file: CsvFile, name: str) -> object:
    try:
        return decide_kinds(file, [name], ColumnSettings())
    except DataError as error:
        return str(error)


def assert_equal(file: CsvFile, other: CsvFile) -> None:
    assert list(file.columns) == list(other.columns)
    assert list(file.rows) == list(other.rows)
    for name in file.columns:
        floats, others = file[name].floats, other[name].floats
        assert (floats is None) == (others is None), name
        if floats is not None and others is not None:
            assert floats.tobytes() == others.tobytes() or np.array_equal(floats, others, equal_nan=True), name
        assert file[name][:9] == other[name][:9], name
        assert kind_of(file, name) == kind_of(other, name), name
        assert file[name].take([3, 1]) == other[name].take([3, 1]), name
        assert len(file[name].take([3, 1])) == 2
        assert file[name] == other[name], name
        assert file[name].counts == other[name].counts, name


def write(path: Path, columns: dict[str, Callable[[int], str]], line_end: str = "\n") -> Path:
    rows = [list(columns), *([make(i) for make in columns.values()] for i in range(ROWS))]
    path.write_text("".join(";".join(row) + line_end for row in rows), encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_odd_columns_are_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line_end: str):
    assert_equal(*read_both(write(tmp_path / "t.csv", COLUMNS, line_end), monkeypatch))


def test_odd_columns_are_read_alike_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert_equal(*read_both(write(tmp_path / "t.csv", COLUMNS), monkeypatch, pieces=False))


def test_drawn_columns_are_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    draw = random.Random(0)
    cells = [*NUMBERS, "", "NA", " NA", "x", "+1", "1,5", "5%", "1e400", str(2**60 + 1), "nan", "-0", "1_0", "inf", "é"]
    columns = {}
    for k in range(40):
        usual, rare = draw.sample(cells, 3), draw.choice(cells)
        texts = [rare if draw.random() < 0.03 else draw.choice(usual) for _ in range(ROWS)]
        columns[f"c{k}"] = texts.__getitem__
    assert_equal(*read_both(write(tmp_path / "t.csv", columns), monkeypatch))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\n\n", 40),  # blank lines
        lambda text: text + "\n\n",
        lambda text: text.replace("3e2", '"3e2"'),
        lambda text: text.replace("3e2", ' "3e2"'),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n5.", "\n\ufeff5.", 2),
        lambda text: text.replace("\n", ";\n").replace(";\n", "\n", 1),  # a delimiter at the end of each row
        lambda text: text.rstrip("\n"),
    ],
)
def test_odd_files_are_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str]):
    path = write(
        tmp_path / "t.csv", {name: COLUMNS[name] for name in ("plain", "missing", "years", "a text at the end")}
    )
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert_equal(*read_both(path, monkeypatch))


def test_texts_of_numbers_are_read_when_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "t.csv", {"a": NUMBERS[0].format, "b": str})
    _, file = read_both(path, monkeypatch)
    reads = []
    monkeypatch.setattr(arrow_file, "read_texts", lambda *a, **k: reads.append(a) or arrow_csv.read_texts(*a, **k))
    assert file["b"].floats is not None
    assert file["b"][:3] == ["0", "1", "2"]
    assert not reads
    assert file["b"].texts()[-1] == str(ROWS - 1)
    assert file["a"].texts()[-1] == "1.5"
    assert len(reads) == 1  # for all columns
    _, file = read_both(path, monkeypatch)
    path.write_text(path.read_text() + "1;2\n")
    with pytest.raises(DataError, match=r"t\.csv was changed while it was read"):
        file["b"].texts()


def test_columns_that_are_no_numbers_are_not_tried_again():
    parser = BlockParser(Dialect(",", ("a", "b", "c")), ["a", "b", "c"], columns=["a", "b"])
    block = parser.parse(b"1,2,3\n4,,6\n")
    assert block is not None
    assert {name: values.tolist() for name, values in block.floats.items()}["a"] == [1, 4]
    assert np.isnan(block.floats["b"]).tolist() == [False, True]
    block = parser.parse(b"1,x,3\n4,5,6\n")
    assert block is not None
    assert (block.floats.keys(), block.texts["b"].to_pylist(), parser.numeric) == ({"a"}, ["x", "5"], {"a"})
    assert parser.parse(b"1,2\n") is None
