"""A file of predictions appears whole; what an interrupted command wrote is continued by the same one only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ptrun.errors import ConfigError
from ptrun.runs.prediction.file import PredictionFile, format_of


def write_some(path: Path, key: str, rows: int, *, finish: bool) -> int:
    """Append rows up to `rows` and return how many were there before."""
    file = PredictionFile(path, {"key": key})
    with file.writing():
        before = file.tally.done
        for i in range(before, rows):
            if file.format == "npy":
                file.append_array(np.full((1, 2), i, np.float32))
            else:
                table = {"input": [f"row {i}"], "probability": [i / 3], "value": [i / 3], "problem": [None]}
                file.append(table, short={"probability"})
            file.tally.done += 1
            file.sync()
    if finish:
        file.finish()
    return before


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.npy", "p.parquet"])
def test_an_interrupted_file_is_continued(tmp_path: Path, name: str):
    if name == "p.parquet":
        pytest.importorskip("pyarrow.parquet")
    path, whole = tmp_path / name, tmp_path / f"whole-{name}"
    assert write_some(path, "a", 3, finish=False) == 0
    assert not path.exists()
    with (tmp_path / f".{name}.partial").open("ab") as file:
        file.write(b"half a ro")  # written, but not noted: a kill came in between
    assert write_some(path, "a", 5, finish=True) == 3
    write_some(whole, "a", 5, finish=True)
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, f"whole-{name}"])


def test_another_command_begins_anew(tmp_path: Path):
    write_some(tmp_path / "p.csv", "a", 3, finish=False)
    assert write_some(tmp_path / "p.csv", "b", 4, finish=True) == 0
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[:3] == ["input,probability,value,problem", "row 0,0,0.0,", "row 1,0.333333,0.3333333333333333,"]
    assert len(lines) == 5


def test_json_lines_leave_out_what_is_absent(tmp_path: Path):
    write_some(tmp_path / "p.jsonl", "a", 2, finish=True)
    assert json.loads((tmp_path / "p.jsonl").read_text().splitlines()[1]) == {
        "input": "row 1",
        "probability": 1 / 3,
        "value": 1 / 3,
    }


def test_a_file_is_written_by_one_command_at_a_time(tmp_path: Path):
    first, second = PredictionFile(tmp_path / "p.csv", {}), PredictionFile(tmp_path / "p.csv", {})
    with first.writing(), pytest.raises(ConfigError, match="another command is writing this file"), second.writing():
        pass


def test_formats_are_the_endings_of_names():
    assert format_of("a/B.JSONL") == "jsonl"
    assert format_of("-") == "csv"
    with pytest.raises(ConfigError, match=r"ends in .csv, .jsonl"):
        format_of("a.txt")
