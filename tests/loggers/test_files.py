"""The files of every run hold each record once, whatever ends the process."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ptrun.loggers.files import files


def record(epoch: int, **extra: Any) -> dict[str, Any]:
    return {"epoch": epoch, "step": 10 * epoch, "train/loss": 1.0 / epoch, "best": epoch == 1, **extra}


def read_jsonl(run_dir: Path) -> list[dict[str, Any]]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def read_csv(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(run_dir: Path, epochs: range, resume_step: int | None = None) -> None:
    logger = files(run_dir=run_dir, resume_step=resume_step)
    logger.start(run_dir, {})
    for epoch in epochs:
        logger.log(record(epoch))
    logger.close()


def test_both_files_hold_every_record(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    assert read_jsonl(tmp_path) == [record(1), record(2), record(3)]
    assert [(row["epoch"], row["train/loss"], row["best"]) for row in read_csv(tmp_path)] == [
        ("1", "1.0", "true"), ("2", "0.5", "false"), ("3", str(1 / 3), "false"),
    ]  # fmt: skip


def test_a_record_is_on_disk_before_the_logger_is_closed(tmp_path: Path) -> None:
    logger = files(run_dir=tmp_path)
    logger.log(record(1))
    logger.log(record(2))
    assert len(read_jsonl(tmp_path)) == len(read_csv(tmp_path)) == 2
    logger.close()


def test_a_new_name_widens_the_csv_and_leaves_earlier_cells_empty(tmp_path: Path) -> None:
    logger = files(run_dir=tmp_path)
    for entry in (record(1), record(2, **{"val/loss": 0.7}), record(3)):
        logger.log(entry)
    logger.close()
    assert [row["val/loss"] for row in read_csv(tmp_path)] == ["", "0.7", ""]
    assert not list(tmp_path.glob(".*"))


def test_a_value_that_is_not_finite_is_null_in_json_and_nan_in_csv(tmp_path: Path) -> None:
    logger = files(run_dir=tmp_path)
    logger.log(record(1, **{"val/loss": float("nan"), "val/rmse": float("inf")}))
    logger.close()
    assert read_jsonl(tmp_path)[0]["val/loss"] is None
    assert (read_csv(tmp_path)[0]["val/loss"], read_csv(tmp_path)[0]["val/rmse"]) == ("nan", "nan")


def test_resume_drops_later_records_and_repeats_none(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    write(tmp_path, range(4, 7), resume_step=30)
    assert [entry["epoch"] for entry in read_jsonl(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in read_csv(tmp_path)] == ["1", "2", "3", "4", "5", "6"]


def test_resume_in_the_middle_of_an_epoch_keeps_whole_epochs_only(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    write(tmp_path, range(0), resume_step=37)
    assert [entry["epoch"] for entry in read_jsonl(tmp_path)] == [1, 2, 3]
    assert [row["epoch"] for row in read_csv(tmp_path)] == ["1", "2", "3"]


def test_reopening_without_a_resume_step_keeps_everything(tmp_path: Path) -> None:
    write(tmp_path, range(1, 3))
    write(tmp_path, range(3, 4))
    assert [entry["epoch"] for entry in read_jsonl(tmp_path)] == [1, 2, 3]


def test_lines_that_a_crash_cut_off_are_repaired(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    for name in ("metrics.jsonl", "metrics.csv"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-9])
    write(tmp_path, range(3, 5))
    assert read_jsonl(tmp_path) == [record(1), record(2), record(3), record(4)]
    assert [row["epoch"] for row in read_csv(tmp_path)] == ["1", "2", "3", "4"]


def test_a_killed_process_leaves_both_files_readable(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from ptrun.loggers.files import files\n"
        "logger = files(run_dir=Path(sys.argv[1]))\n"
        "for epoch in range(1, 4): logger.log({'epoch': epoch, 'step': epoch, f'val/{epoch}': 0.5})\n"
        "os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 9
    assert [entry["epoch"] for entry in read_jsonl(tmp_path)] == [1, 2, 3]
    assert [row["val/3"] for row in read_csv(tmp_path)] == ["", "", "0.5"]
