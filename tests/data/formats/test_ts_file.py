"""Sequences keep their own lengths, labels and rows, from .ts files and from wide CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.data.formats.ts_file import Sequences, read_sequences
from ptrun.errors import DataError

HEAD = "# a comment\n@problemName test\n@univariate false\n@classLabel true up down\n\n@data\n"


def read(path: Path, text: str, label_column: str = "auto", *, header: bool = True) -> Sequences:
    path.write_text(text, encoding="utf-8")
    return read_sequences(path, label_column, header)


def test_ts_file(tmp_path: Path) -> None:
    sequences = read(tmp_path / "a.ts", HEAD + "1,2,3:4,5,6:up\n\n7,8:9,10: down\n")
    assert [values.tolist() for values in sequences.values] == [[[1, 4], [2, 5], [3, 6]], [[7, 9], [8, 10]]]
    assert sequences.labels == ["up", "down"]
    assert sequences.rows == [7, 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "is empty: it has no sequences"),
        ("1,2:up\n", "row 1: '1,2:up' stands before the @data line"),
        ("@problemName x\n", "no @data line"),
        (HEAD + "1,2:3,4:up\n1,2:up\n", "row 8: it has 1 channels and the label 'up'; 2 channels"),
        (HEAD + "1,2:3:up\n", "row 7: its channels have different lengths"),
        (HEAD + "1,2:3,x:up\n", "row 7, column 'channel 2 value 2': 'x' is not a number"),
        (HEAD + "1,?:3,4:up\n", "row 7, channel 1 value 2: the value is missing"),
        ("@timeStamps true\n@data\n", "time stamps are not supported"),
        ("@classLabel false\n@data\n", "no class labels"),
    ],
)
def test_bad_ts_files_are_explained(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.ts", text)


def test_csv_file_with_header(tmp_path: Path) -> None:
    sequences = read(tmp_path / "a.csv", "s1,Label,s2,s3\n1,up,2,3\n4,down,5,\n")
    assert [values.tolist() for values in sequences.values] == [[[1], [2], [3]], [[4], [5]]]
    assert sequences.labels == ["up", "down"]
    assert sequences.rows == [2, 3]
    assert read(tmp_path / "a.csv", "s1,kind\n1,up\n", "kind").labels == ["up"]


def test_csv_file_without_header(tmp_path: Path) -> None:
    sequences = read(tmp_path / "a.csv", "up,1,2\ndown,3,4\n", header=False)
    assert sequences.labels == ["up", "down"]
    assert sequences.values[1].tolist() == [[3], [4]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s1,s2\n1,2\n", "no columns called label, class, target"),
        ("label,class\n1,2\n", "2 columns called label, class, target"),
        ("label,s1,s2\nup,,2\n", "row 2, column 's1': the value is missing"),
        ("label,s1\nup,\n", "row 2: it has no values"),
        ("label,s1\nup,1\n,2\n", r"row 3: the label \(column 'label'\) is missing"),
        ("label\nup\n", "no values beside it"),
    ],
)
def test_bad_csv_files_are_explained(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.csv", text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ts", HEAD + "1,2:3,4:up\n5,6:7,8:?\n"),
        ("b.ts", HEAD.replace("true up down", "false") + "1,2:3,4\n5,6:7,8\n"),
    ],
)
def test_sequences_to_predict_need_no_labels(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    sequences = read_sequences(tmp_path / name, "auto", header=True, labeled=False)
    assert [values.tolist() for values in sequences.values] == [[[1, 3], [2, 4]], [[5, 7], [6, 8]]]


def test_labels_of_sequences_to_predict_are_passed_over(tmp_path: Path) -> None:
    for text in ("a,b\n1,2\n", "a,Label,b\n1,,2\n"):
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        sequences = read_sequences(tmp_path / "a.csv", "auto", header=True, labeled=False)
        assert [values.tolist() for values in sequences.values] == [[[1], [2]]]
