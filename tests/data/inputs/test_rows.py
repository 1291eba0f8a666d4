"""Rows of a table are encoded chunk by chunk as all at once, and each bad row is named."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from ptrun.data.features.columns import ColumnSettings, encode_columns, fit_columns
from ptrun.data.formats.csv_chunks import ALL, InMemory, read_chunks, read_file_chunks
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.inputs import rows
from ptrun.data.inputs.rows import TableRows, as_rows, numeric_encodings, require_columns, wanted_columns
from ptrun.errors import DataError


def file(size: list[str], kind: list[str]) -> CsvFile:
    return CsvFile("t.csv", {"size": size, "kind": kind}, list(range(2, len(size) + 2)))


TRAINING = file([str(i % 9) for i in range(40)], ["ab"[i % 2] for i in range(40)])
ENCODINGS = fit_columns(TRAINING, ["size", "kind"], np.arange(40), ColumnSettings())[0]


def table(lines: Sequence[str], batch_size: int = 2, **changes: object) -> TableRows:
    read = partial(read_chunks, io.StringIO("\n".join(lines)), "t.csv")
    return TableRows(read, ENCODINGS, batch_size, **changes)  # type: ignore[arg-type]


def test_chunks_are_whole_batches_and_together_all_rows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "CHUNK_ROWS", 5)
    lines = ["size,kind,id", *(f"{i},a,n{i}" for i in range(9))]
    chunks = list(table(lines, keep=["id"]).chunks(0))
    assert [len(chunk.names) for chunk in chunks] == [4, 4, 1]
    whole = encode_columns(file([str(i) for i in range(9)], ["a"] * 9), ENCODINGS, "")
    assert np.array_equal(torch.cat([chunk.inputs for chunk in chunks]).numpy(), whole)
    assert [cell for chunk in chunks for cell in chunk.columns["id"]] == [f"n{i}" for i in range(9)]
    (last,) = table(lines).chunks(8)
    assert list(last.names) == ["row 10"]


def test_each_bad_row_is_named_and_the_others_are_encoded():
    lines = ["size,kind", *(f"{i},a" for i in range(20))]
    lines[3], lines[9], lines[10] = "big,a", "7", "small,b"
    (chunk,) = table(lines, keep=None).chunks(0)
    assert list(chunk.problems) == [2, 8, 9]
    assert "row 4, column 'size': 'big' is not a number" in chunk.problems[2]
    assert "1 cells, but the file has 2 columns" in chunk.problems[8]
    assert chunk.columns["kind"][8:10] == ["", "b"]
    assert len(chunk.inputs) == 17


def test_what_training_never_saw_is_counted():
    memory = TableRows(InMemory(file(["3", "99", "-4", ""], ["a", "z", "y", "b"])), ENCODINGS, 256)
    (chunk,) = memory.chunks(0)
    assert chunk.unusual == {
        "column 'size': a number outside of those in training (0 to 8)": 2,
        "column 'size': a missing value, which training rows lack": 1,
        "column 'kind': a category that training rows lack": 2,
    }
    (usual,) = TableRows(InMemory(TRAINING), ENCODINGS, 256).chunks(0)
    assert not usual.unusual


def test_absent_columns_are_named_with_the_nearest():
    with pytest.raises(DataError, match=r"lacks a column .* 'kind'. Did you mean 'kinds'\?"):
        require_columns(CsvFile("t.csv", {"size": [], "kinds": []}, []), ENCODINGS)


def test_absent_columns_of_a_file_without_a_header_line():
    bare = CsvFile("t.csv", {"column 1": ["1"]}, [1], has_header=False)
    encodings = numeric_encodings(["column 2", "column 3"], [0, 0], [1, 1])
    with pytest.raises(
        DataError, match=r"columns are counted from the left.* \"dataset.columns=\['column 2','column 3'"
    ):
        require_columns(bare, encodings)


def test_python_values_are_texts_that_keep_their_digits():
    records = [
        {"x": 0.1 + 0.2, "y": None, "z": True},
        {"x": float("nan"), "y": np.float64(1e-30), "w": 3},
        {"x": np.float32("nan"), "y": np.datetime64("NaT"), "w": " a ", "z": np.bool_(False)},
    ]
    assert as_rows(records, "rows").columns == {
        "x": ["0.30000000000000004", "", ""],
        "y": ["", "1e-30", ""],
        "z": ["True", "", "False"],
        "w": ["", "3", "a"],
    }


def test_columns_of_numbers_are_standardized_as_arrays_are():
    encodings = numeric_encodings(["p", "q"], [1.0, 2.0], [0.5, 3.0])
    (chunk,) = TableRows(InMemory(as_rows([{"q": 7.3, "p": -1.1}], "rows")), encodings, 256).chunks(0)
    assert chunk.inputs.tolist() == ((np.array([[-1.1, 7.3]]) - [1.0, 2.0]) / [0.5, 3.0]).astype(np.float32).tolist()


def test_rows_that_are_read_ahead_are_the_same_and_end_in_the_same_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "CHUNK_ROWS", 4)
    lines = ["size,kind", *(f"{i},a" for i in range(79))]
    plain, early = (list(table(lines, reads_ahead=ahead).chunks(3)) for ahead in (False, True))
    assert [list(chunk.names) for chunk in early] == [list(chunk.names) for chunk in plain]
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(early, plain, strict=True))
    chunks = table([*lines, '"' + "x" * 200_000], reads_ahead=True).chunks(0)
    with pytest.raises(DataError, match="can't be read as CSV"):
        list(chunks)


def test_only_what_is_needed_is_read_and_numbers_as_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "CHUNK_ROWS", 8)
    lines = ["size,kind,other,id", *(f"{i % 9}{'.5' * (i % 2)},a,{i},n{i}" for i in range(64))]
    lines[30], lines[40], lines[41], lines[50] = "big,a,1,n", " 7 ,b,2,n", "NA,b,2,n", "1,a"
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    for keep in ((), ["id"], ["size", "other"], None):
        wanted = wanted_columns(ENCODINGS, keep)
        sources = [
            TableRows(partial(read_file_chunks, tmp_path / "t.csv", wanted=what), ENCODINGS, 4, keep)
            for what in (ALL, wanted)
        ]
        for whole, part in zip(*(source.chunks(0) for source in sources), strict=True):
            assert torch.equal(whole.inputs, part.inputs)
            assert (whole.names, whole.problems, whole.columns) == (part.names, part.problems, part.columns)
            assert whole.unusual == part.unusual
    assert wanted_columns(ENCODINGS, ["size"]).numbers == []
    assert wanted_columns(ENCODINGS, None).columns is None
    euros = [{**encoding, "form": {"decimal": ",", "thousands": "", "symbol": ""}} for encoding in ENCODINGS]
    assert wanted_columns(euros, ()).numbers == []
