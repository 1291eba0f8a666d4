"""Records are read, repaired and formatted as CSV."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ptrun.loggers.records import as_csv, csv_text, last_record, read_intact, read_records, repair

RECORDS = [{"epoch": epoch, "step": 10 * epoch, "val/loss": 0.5} for epoch in (1, 2, 3)]
TEXT = "".join(json.dumps(record) + "\n" for record in RECORDS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "metrics.jsonl").write_text(TEXT)
    return tmp_path / "metrics.jsonl"


def test_whole_files_are_read_alike(path: Path):
    assert read_records(path) == read_intact(path) == RECORDS


def test_a_missing_file_has_no_records(tmp_path: Path):
    assert read_records(tmp_path / "none") == []
    assert repair(tmp_path / "none", None) == []
    with pytest.raises(FileNotFoundError):
        read_intact(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TEXT[:-5], "line 3 is not a record"),
        (TEXT.replace('{"epoch": 2', '["epoch", 2'), "line 2 is not a record"),
        (TEXT.replace('"step": 20, ', ""), "line 2 is not a record"),
        (TEXT[:-1], "its last line is cut off"),
    ],
)
def test_damage_is_named_by_its_line(path: Path, text: str, problem: str):
    path.write_text(text)
    with pytest.raises(ValueError, match=problem):
        read_intact(path)


def test_damaged_lines_are_skipped_when_reading_leniently(path: Path):
    path.write_bytes(TEXT.encode()[:-5] + b"\xff\n[1, 2]\n")
    assert read_records(path) == RECORDS[:2]


@pytest.mark.parametrize(("step", "count"), [(None, 3), (30, 3), (29, 2), (0, 0)])
def test_repair_keeps_complete_records_up_to_a_step(path: Path, step: int | None, count: int):
    path.write_text(TEXT + '{"epoch": 4, "st')
    assert repair(path, step) == RECORDS[:count]
    assert read_intact(path) == RECORDS[:count]


def test_a_whole_file_is_not_written_again(path: Path):
    before = path.stat().st_ino
    repair(path, 99)
    assert path.stat().st_ino == before


def test_csv_has_a_column_for_every_name_and_tells_missing_from_undefined():
    records = [{"epoch": 1, "best": True}, {"epoch": 2, "val/loss": None, "best": False}]
    assert as_csv(records) == "epoch,best,val/loss\n1,true,\n2,false,nan\n"
    assert csv_text(["val/loss", "epoch"], records, header=False) == ",1\nnan,2\n"
    assert as_csv([]) == ""


def test_the_last_record_is_found_at_the_end_of_a_long_file(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    assert last_record(path) == {}
    path.write_text("")
    assert last_record(path) == {}
    path.write_text("".join(json.dumps({"epoch": number, "text": "x" * 100}) + "\n" for number in range(1000)))
    assert last_record(path)["epoch"] == 999
    with path.open("a") as file:
        file.write('{"epoch": 1000, "te')  # cut off
    assert last_record(path)["epoch"] == 999
