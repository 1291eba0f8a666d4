"""Sequences of wide CSV files keep their own lengths, labels and rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.data.features.wide_sequences import read_sequences
from ptrun.data.formats.ts_file import Sequences
from ptrun.errors import DataError


def read(path: Path, text: str, label_column: str = "auto", *, header: bool | str = "auto") -> Sequences:
    path.write_text(text, encoding="utf-8")
    return read_sequences(path, label_column, header, "auto", "auto")


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


def test_running_numbers_at_an_end_of_the_row_are_no_time_step(tmp_path: Path) -> None:
    sequences = read(tmp_path / "a.csv", ",s1,s2,label\n" + "".join(f"{i},{7 - i},{i * i},u\n" for i in range(5)))
    assert sequences.values[2].tolist() == [[5], [4]]
    assert sequences.notes == ("Left out (they have no name in the header line): column 1.",)
    counted = read(tmp_path / "b.csv", "id,s1,label\n" + "".join(f"{i},{i * i},u\n" for i in (3, 1, 2)))
    assert counted.values[0].tolist() == [[9]]


def test_decimal_commas_and_a_header_line_that_is_missing(tmp_path: Path) -> None:
    lines = "".join(f"{i % 2};{i},5;{i * i},25\n" for i in range(8))
    sequences = read(tmp_path / "a.csv", lines)
    assert sequences.values[3].tolist() == [[3.5], [9.25]]
    assert sequences.labels[:3] == ["0", "1", "0"]
    assert "No header line" in sequences.notes[0]
    assert "a decimal comma" in sequences.notes[1]


def test_labels_of_sequences_to_predict_are_passed_over(tmp_path: Path) -> None:
    for text in ("a,b\n1,2\n", "a,Label,b\n1,,2\n"):
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        sequences = read_sequences(tmp_path / "a.csv", "auto", True, "auto", "auto", trained={})
        assert [values.tolist() for values in sequences.values] == [[[1], [2]]]


@pytest.mark.parametrize(
    ("rows", "lengths"),
    [
        ("1\t5\t6\t7\n2\t5\t7\t\n", [3, 2]),  # a label, then up to three steps
        ("?\t5\t6\t7\n?\t5\t7\t8\n", [3, 3]),
        ("1.0\t5\t6\n2.0\t5\t7\n", [2, 2]),  # fewer steps than in training
        ("5\t6\t7\n5\t7\t8\n", [3, 3]),
        ("1\t2\t1\n2\t2\t1\n", [3, 3]),  # steps like the names of classes
        ("1\t2\t1\t1\n2\t2\t1\t1\n", [3, 3]),
    ],
)
def test_labels_of_a_file_without_a_header_are_no_steps(tmp_path: Path, rows: str, lengths: list[int]) -> None:
    (tmp_path / "a.tsv").write_text(rows)
    trained = {"class_names": ["1", "2"], "length": 3}
    read = read_sequences(tmp_path / "a.tsv", "auto", False, "auto", "auto", trained=trained)
    assert [len(values) for values in read.values] == lengths
