"""Drivers, workers and jobs of one sweep are killed at random instants, side by side: no job is lost, none done twice.

Two drivers and three workers are at work at once; the table is that of an undisturbed sweep.

PTRUN_SWEEP_KILLS sets how many of each are killed.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from support import ROOT, Ended

from ptrun.checkpoint import store
from ptrun.sweeps.leaderboard import all_rows, best_jobs
from ptrun.sweeps.table import csv_rows

KILLS = int(os.environ.get("PTRUN_SWEEP_KILLS", "2"))
SECONDS = (0.5, 6.0)  # between two kills: a command imports for seconds before its first job
GRID = ("model=simplenet", "optimizer.lr=0.1,0.01,0.001", "seed=0,1,2,3")
SEARCH = ("model=simplenet", "sweep=tpe", "sweep.trials=12", "optimizer.lr=tag(log,interval(1e-4,1e-1))")
EPOCHS = 40 * max(KILLS, 2)  # so that the sweep does not end before the last kill
COMMON = (f"train.epochs={EPOCHS}", "device.threads=1", "plots=false", "checkpoint.every_steps=200", "sweep.jobs=1")

pytestmark = pytest.mark.faults


class Crew:
    """The processes that work on one sweep, and all that they print."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        self.folder, self.words = folder, words
        self.log = (folder / "printed").open("ab")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        work = ["sweep", "work", "sw", "sweep.jobs=1"]
        words = ["train", "-m", *self.words, *COMMON, "sweep.dir=sw"] if name.startswith("driver") else work
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "ptrun", *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=self.log,
            stderr=self.log,
        )

    def wait_for_plan(self) -> None:
        while not (self.folder / "sw" / "sweep.json").is_file():
            assert self.processes["driver 0"].poll() is None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.processes["driver 0"].wait(0.1)

    def kill(self, victim: str, after: float) -> None:
        """Kill a process, and start it again; or kill the process of a job."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.processes["driver 0"].wait(after)
        if victim == "job":
            for path in sorted((self.folder / "sw").glob("*/status.json")):
                status = json.loads(path.read_text())
                if status["state"] == "running":
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(status["pid"], signal.SIGKILL)
                    return
            return
        self.processes[victim].kill()
        self.processes[victim].wait()
        self.start(victim)

    def end(self) -> None:
        for process in self.processes.values():
            process.wait()


@pytest.fixture
def crew(folder: Path) -> Iterator[Callable[..., Crew]]:
    started: list[Crew] = []

    def start(words: tuple[str, ...]) -> Crew:
        made = Crew(folder, words)
        started.append(made)
        made.start("driver 0")
        made.wait_for_plan()
        for name in ("driver 1", "worker 0", "worker 1", "worker 2"):
            made.start(name)
        return made

    yield start
    for made in started:
        for process in made.processes.values():
            process.kill()
            process.wait()
        made.log.close()


def weights(job: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = store.load(job / "checkpoints" / "last.pt")["model"]
    return tensors


@pytest.mark.parametrize("words", [GRID, SEARCH], ids=["grid", "search"])
def test_no_job_is_lost_and_none_done_twice(
    folder: Path, process: Callable[..., Ended], crew: Callable[..., Crew], words: tuple[str, ...]
):
    rng = random.Random(0)
    victims = ["driver 0", "worker 0", "job"] * KILLS
    rng.shuffle(victims)
    made = crew(words)
    for victim in victims:
        made.kill(victim, rng.uniform(*SECONDS))
    made.end()
    ended = process("train", "-m", *words, *COMMON, "sweep.dir=sw")  # for jobs that failed because they were killed
    assert ended.code == 0, ended.err
    rows = json.loads(process("sweep", "sw", "--json").out)["jobs"]
    assert [row["state"] for row in rows] == ["done"] * 12
    printed = (folder / "printed").read_text()
    finished = collections.Counter(re.findall(r"job (\d+) done:", printed + ended.out))
    tested = set(re.findall(r"job (\d+) is tested:", printed + ended.out))
    assert max(count for job, count in finished.items() if job not in tested) == 1  # a test that is killed ends anew
    winners = best_jobs(rows)
    assert len(winners) == (4 if words is GRID else 1)
    assert all(row["test"] for row in rows if row["job"] in winners)

    if words is GRID:
        assert_equal_to_an_undisturbed_sweep(folder, process)
    else:  # what a search proposes depends on what was done by then
        assert_equal_to_runs_alone(folder, process, {row["job"]: row["overrides"] for row in rows[:3]})


def assert_equal_to_an_undisturbed_sweep(folder: Path, process: Callable[..., Ended]) -> None:
    ended = process("train", "-m", *GRID, *COMMON, "sweep.jobs=2", "sweep.dir=whole")
    assert ended.code == 0, ended.err
    tables = [[row[:-1] for row in csv_rows(all_rows(folder / sweep))] for sweep in ("whole", "sw")]  # but for seconds
    assert tables[0] == tables[1]
    for job in range(12):
        assert_equal_weights(folder / "whole" / str(job), folder / "sw" / str(job))


def assert_equal_to_runs_alone(folder: Path, process: Callable[..., Ended], jobs: Mapping[str, list[str]]) -> None:
    for job, overrides in jobs.items():
        assert process("train", *overrides, f"output_dir={folder / 'alone' / job}", "-q").code == 0
        [run] = (folder / "alone" / job).glob("*/*-simplenet-*")
        assert_equal_weights(run, folder / "sw" / job)


def assert_equal_weights(expected: Path, run: Path) -> None:
    tensors = weights(expected), weights(run)
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
