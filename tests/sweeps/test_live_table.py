"""A sweep on a terminal shows one table, drawn anew in its place; in a pipe it prints lines."""

from __future__ import annotations

import datetime
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import ROOT, run_config

from ptrun.files.lock import lock
from ptrun.runs.folder import RunDir
from ptrun.sweeps.live_table import LiveTable
from ptrun.terminal.console import Console

AXES = ("optimizer.lr", "seed")


@pytest.fixture
def locks() -> Iterator[ExitStack]:
    """Holds the locks of runs that are said to be at work."""
    with ExitStack() as stack:
        yield stack


def table(folder: Path, number: int, first_seed: int = 0) -> LiveTable:
    jobs = [(folder / str(n), ("model=simplenet", "optimizer.lr=0.1", f"seed={first_seed + n}")) for n in range(number)]
    for job, _ in jobs:
        job.mkdir()
    return LiveTable(Console(stream=io.StringIO()), AXES, lambda: jobs, number)


def write(job: Path, state: str, epoch: int = 0, locks: ExitStack | None = None) -> None:
    """The files of a run of twenty epochs that has trained for so many of them, a minute each."""
    RunDir(job).write_status(state)
    if locks is not None:
        locks.enter_context(lock(job))
    if epoch:
        begun = datetime.datetime.now().astimezone() - datetime.timedelta(minutes=epoch)
        status = json.loads((job / "status.json").read_text()) | {"time": begun.isoformat()}
        (job / "status.json").write_text(json.dumps(status))
        RunDir(job).write_config(
            {}, run_config("model=simplenet", "train.epochs=20", "train.monitor=val/loss").to_dict()
        )
        records = [{"epoch": number, "val/loss": 1 / number} for number in range(1, epoch + 1)]
        (job / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def texts(made: LiveTable, columns: int = 100, rows: int = 30) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in made.lines(columns, rows)]


def test_a_row_for_each_running_job_and_the_last_that_ended(tmp_path: Path, locks: ExitStack):
    made = table(tmp_path, 200)
    for number in range(10):
        write(tmp_path / str(number), "done", 20)
        os.utime(tmp_path / str(number) / "status.json", (number, number))
    write(tmp_path / "10", "running", 5, locks)
    write(tmp_path / "11", "running", locks=locks)
    lines = texts(made)
    assert lines[0].split() == ["job", "settings", "state", "epoch", "val/loss", "time", "ETA"]
    assert [line.split()[0] for line in lines[1:8]] == ["5", "6", "7", "8", "9", "10", "11"]
    cells = lines[6].split()
    assert cells[:6] == ["10", "optimizer.lr=0.1", "seed=10", "running", "5/20", "0.2000"]
    assert [text.partition(":")[0] for text in cells[6:]] == ["5", "15"]  # minutes
    assert lines[7].split()[3] == "running"
    assert re.match(r"  10 of 200 done, 2 running, 188 to go, \S+ s so far", lines[-1])
    write(tmp_path / "10", "failed", 5)
    assert "1 failed" in texts(made)[-1]
    assert "left" in texts(made)[-1]


def test_a_run_whose_process_was_killed_is_not_running(tmp_path: Path, locks: ExitStack):
    made = table(tmp_path, 2)
    write(tmp_path / "0", "running", 5, locks)
    write(tmp_path / "1", "running", 5)
    assert [line.split()[3] for line in texts(made)[1:3]] == ["killed", "running"]
    assert "0 of 2 done, 1 killed, 1 running," in texts(made)[-1]


def test_a_run_that_was_done_and_runs_again_is_tested(tmp_path: Path, locks: ExitStack):
    made = table(tmp_path, 2)
    for job in "01":
        write(tmp_path / job, "done", 20)
    texts(made)
    write(tmp_path / "0", "running", 20, locks)
    assert [line.split()[3] for line in texts(made)[1:3]] == ["done", "testing"]
    assert "1 of 2 done, 1 testing," in texts(made)[-1]


def test_different_metrics_are_named_in_each_row(tmp_path: Path, locks: ExitStack):
    made = table(tmp_path, 2)
    for job in "01":
        write(tmp_path / job, "running", 5, locks)
    (tmp_path / "1" / "metrics.jsonl").write_text('{"epoch": 5, "train/loss": 0.5}\n')
    lines = texts(made)
    assert "metric" in lines[0]
    assert "val/loss 0.2000" in lines[1]
    assert "train/loss 0.5000" in lines[2]


def test_it_fits_the_terminal(tmp_path: Path, locks: ExitStack):
    made = table(tmp_path, 60, first_seed=1_000_000_000)
    for number in range(50):
        write(tmp_path / str(number), "running", 3, locks)
    assert "optimizer.lr=0.1 seed=1000000000 " in texts(made, 100, 20)[1]
    assert " lr=0.1 seed=1000000000 " in texts(made, 75, 20)[1]  # the last words of the keys
    lines = texts(made, 65, 20)
    assert len(lines) < 20
    assert max(map(len, lines[:-2])) <= 65  # the settings are cut
    assert any("…" in line for line in lines)
    assert "more that run" in lines[-3]


def on_screen(text: str) -> list[str]:
    """What a terminal shows after this output."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.startswith("\x1b"):
            number = int(re.sub(r"\D", "", part) or 1)
            row = max(0, row - number) if part.endswith("A") else row
            lines[row] = "" if part.endswith("K") else lines[row]
        else:
            before = lines[row].ljust(column)
            lines[row] = before[:column] + part + before[column + len(part) :]
            column += len(part)
    return lines


def at_terminal(folder: Path, words: Sequence[str]) -> str:
    """All that a command prints on a terminal."""
    pty = pytest.importorskip("pty")
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(folder)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        os.execve(sys.executable, [sys.executable, "-m", "ptrun", *words], environment)
    printed = b""
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # so Linux tells that the process has closed the terminal
            break
        if not part:
            break
        printed += part
    os.close(descriptor)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1, printed.decode()
    return printed.decode()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminal")
@pytest.mark.parametrize("who", ["this process", "workers"])
def test_a_sweep_on_a_terminal(folder: Path, who: str):
    words = ("train", "-m", "model=simplenet", "optimizer=sgd", "optimizer.lr=0.1,1e30", "seed=0,1")
    # Long enough for a look, which is taken once a second.
    words = (*words, "train.epochs=600", "plots=false", "device.threads=1", "sweep.jobs=2")
    if who == "workers":
        words = (*words, "sweep.launch=command", "sweep.launch_command=nice %work")
    printed = at_terminal(folder, words)
    frames = [on_screen(part) for part in re.split(r"(?<=so far)", printed)]
    assert any(re.search(r"of 4 done, .*\d running, \d to go", line) for frame in frames for line in frame)
    assert any(re.search(r"lr=0.1 seed=\d +running +\d+/600 ", line) for frame in frames for line in frame)
    whole = on_screen(printed)
    assert not [line for line in whole if "so far" in line or "running" in line]  # the table has gone
    assert len([line for line in whole if line.startswith("error: job ")]) == 2
    assert not [line for line in whole if "started" in line]
    assert "\x1b[?25l" not in printed.rpartition("\x1b[?25h")[2]  # the cursor is there
