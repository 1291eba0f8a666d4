"""A sweep on a terminal shows one table, drawn anew in its place; in a pipe it prints lines."""

from __future__ import annotations

import datetime
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import ROOT, run_config

from ptrun.config.composition import JobConfig
from ptrun.config.load import LoadedConfig
from ptrun.runs.folder import RunDir
from ptrun.sweeps.live_table import LiveTable
from ptrun.sweeps.plan import Job
from ptrun.terminal.console import Console

AXES = ("optimizer.lr", "seed")


def table(folder: Path, number: int) -> LiveTable:
    loaded = LoadedConfig(run_config("model=simplenet", "train.epochs=20"), {})
    configs = [JobConfig(str(n), ("optimizer.lr=0.1", f"seed={n}"), loaded, "") for n in range(number)]
    jobs = [Job(folder / config.identity, config) for config in configs]
    for job in jobs:
        job.folder.mkdir()
    return LiveTable(Console(stream=io.StringIO()), AXES, lambda: jobs, number)


def write(job: Path, state: str, epoch: int = 0) -> None:
    """The files of a run that has trained for so many epochs, a minute each."""
    RunDir(job).write_status(state)
    if epoch:
        begun = datetime.datetime.now().astimezone() - datetime.timedelta(minutes=epoch)
        status = json.loads((job / "status.json").read_text()) | {"time": begun.isoformat()}
        (job / "status.json").write_text(json.dumps(status))
        records = [{"epoch": number, "val/loss": 1 / number} for number in range(1, epoch + 1)]
        (job / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def texts(made: LiveTable, columns: int = 100, rows: int = 30) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in made.lines(columns, rows)]


def test_a_row_for_each_running_job_and_the_last_that_ended(tmp_path: Path):
    made = table(tmp_path, 200)
    for number in range(10):
        write(tmp_path / str(number), "done", 20)
        os.utime(tmp_path / str(number) / "status.json", (number, number))
    write(tmp_path / "10", "running", 5)
    write(tmp_path / "11", "running")
    lines = texts(made)
    assert lines[0].split() == ["job", "settings", "state", "epoch", "metric", "time", "ETA"]
    assert [line.split()[0] for line in lines[1:8]] == ["5", "6", "7", "8", "9", "10", "11"]
    assert lines[6].split() == [
        "10",
        "optimizer.lr=0.1",
        "seed=10",
        "running",
        "5/20",
        "val/loss",
        "0.2000",
        "5:00",
        "15:00",
    ]
    assert lines[7].split()[3] == "running"
    assert re.match(r"  10 of 200 done, 2 running, 188 to go, \S+ s so far", lines[-1])
    write(tmp_path / "10", "failed", 5)
    assert "1 failed" in texts(made)[-1]
    assert "left" in texts(made)[-1]


def test_it_fits_the_terminal(tmp_path: Path):
    made = table(tmp_path, 60)
    for number in range(50):
        write(tmp_path / str(number), "running", 3)
    lines = texts(made, 60, 20)
    assert len(lines) < 20
    assert max(map(len, lines)) <= 70  # the settings are cut down to some letters
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
def test_a_sweep_on_a_terminal(folder: Path):
    words = ("train", "-m", "model=simplenet", "optimizer=sgd", "optimizer.lr=0.1,1e30", "seed=0,1", "train.epochs=40")
    printed = at_terminal(folder, (*words, "plots=false", "device.threads=1", "sweep.jobs=2"))
    frames = [on_screen(part) for part in re.split(r"(?<=so far)", printed)]
    assert any("0 of 4 done, 2 running, 2 to go" in line for frame in frames for line in frame)
    whole = on_screen(printed)
    assert not [line for line in whole if "so far" in line or "running" in line]  # the table has gone
    assert len([line for line in whole if line.startswith("error: job ")]) == 2
    assert not [line for line in whole if "started" in line]
    assert "\x1b[?25l" not in printed.rpartition("\x1b[?25h")[2]  # the cursor is there
