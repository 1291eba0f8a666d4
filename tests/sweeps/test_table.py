"""The table of a sweep shows what differs between its jobs, and results.csv holds all of it."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from ptrun.config.run_config import GROUPS
from ptrun.sweeps.table import next_commands, report, report_next, show
from ptrun.terminal.console import Console


def row(job: str, value: float | None, *overrides: str, **changes: Any) -> dict[str, Any]:
    test = {} if value is None else {"loss": 1 - value, "accuracy": value, "f1_macro": value / 2}
    return {
        "job": job, "overrides": ["train.epochs=1", *overrides], "state": "done", "reason": "", "value": value,
        "monitor": "val/accuracy", "higher_is_better": True, "test": test, "seconds": 61.0, **changes,
    }  # fmt: skip


def printed(rows: list[dict[str, Any]], folder: Path) -> str:
    stream = io.StringIO()
    report(rows, folder, Console(stream=stream))
    return stream.getvalue()


ROWS = [
    row("1", 0.75, "optimizer.lr=0.1"),
    row("0", 0.5, "model=convnet"),
    row("2", None, "optimizer.lr=9", state="failed", reason="The loss became NaN.\nMore on that."),
]


def test_the_table_is_printed_best_first_with_the_settings_that_differ(tmp_path: Path):
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "job.log").write_text("".join(f"line {n}\n" for n in range(10)))
    lines = printed(ROWS, tmp_path).splitlines()
    table = [" ".join(line.split()) for line in lines]
    assert table[1] == "job settings val/accuracy test accuracy test f1_macro time state"
    assert table[2].startswith("1 optimizer.lr=0.1 75.00 % 75.00 % 37.50 %")
    assert table[3].startswith("0 (defaults) 50.00 %")
    assert table[4].endswith("failed")
    assert any("job 2 failed: The loss became NaN." in line for line in lines)
    assert any(f"folder {tmp_path / '2'}" in line for line in lines)
    assert [line.strip() for line in lines if "job.log" in line] == [f"job.log: line {n}" for n in (6, 7, 8, 9)]
    assert "More on that" not in "".join(lines)


def test_the_next_commands_are_for_the_best_job(tmp_path: Path):
    stream = io.StringIO()
    report_next(ROWS, tmp_path, Console(stream=stream))
    assert f"ptrun eval checkpoint={tmp_path / '1'}" in stream.getvalue()
    report_next(ROWS[2:], tmp_path, Console(stream=stream))
    assert stream.getvalue().count("Next") == 1, "no job has a result"


@pytest.mark.parametrize(
    ("dataset", "command"),
    [
        ("{name: table, path: my rows.csv}", "ptrun predict checkpoint=JOB input='my rows.csv'"),
        ("{name: image_folder, root: photos}", "ptrun predict checkpoint=JOB input=photos"),
        ("{name: digits}", "ptrun show checkpoint=JOB"),
        ("{name: series, path: null}", "ptrun show checkpoint=JOB"),
    ],
)
def test_the_last_command_predicts_for_the_users_own_data(tmp_path: Path, dataset: str, command: str):
    (tmp_path / "1").mkdir()
    groups = dict.fromkeys(GROUPS, "{name: any}") | {"dataset": dataset}
    (tmp_path / "1" / "resolved.yaml").write_text("".join(f"{group}: {value}\n" for group, value in groups.items()))
    assert next_commands(tmp_path, "1")[-1][1] == command.replace("JOB", str(tmp_path / "1"))


def test_a_narrow_terminal_gets_shorter_names_and_fewer_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = [row(str(n), 0.5, f"optimizer.lr=0.{n}", f"seed={n % 2}") for n in range(1, 5)]
    widths = {}
    for columns in (200, 85, 70, 60):
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal = Terminal()
        show(rows, tmp_path, Console(stream=terminal))
        lines = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue()).splitlines()
        tables = [line for line in lines if "·" not in line]
        assert max(map(len, tables)) <= max(columns, 62)
        widths[columns] = "optimizer.lr=0.1" in lines[-1] + lines[2], " ".join(lines[1].split())
    assert widths[200] == (True, "job settings val/accuracy test accuracy test f1_macro time state")
    assert widths[85] == (False, widths[200][1])
    assert widths[70] == (False, "job settings val/accuracy test accuracy time state")


def test_one_job_is_shown_with_its_settings(tmp_path: Path):
    assert "train.epochs=1 optimizer.lr=0.1  " in printed([row("0", 0.5, "optimizer.lr=0.1")], tmp_path)


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_csv_file_holds_every_value(tmp_path: Path):
    printed(ROWS, tmp_path)
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "job": "1", "state": "done", "optimizer.lr": "0.1", "val/accuracy": "0.75", "test/loss": "0.25",
        "test/accuracy": "0.75", "test/f1_macro": "0.375", "seconds": "61.0",
    }  # fmt: skip
    assert (rows[2]["val/accuracy"], rows[2]["test/loss"], rows[2]["optimizer.lr"]) == ("", "", "9")


def test_a_sweep_without_any_result_names_no_next_command(tmp_path: Path):
    assert "ptrun eval" not in printed([ROWS[2]], tmp_path)
    assert printed([], tmp_path) == ""
