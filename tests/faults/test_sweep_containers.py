"""Workers in containers of their own, with own process numbers and host names, share one sweep and are killed there.

Skipped where this system lets nobody make such namespaces.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import ROOT, Ended

UNSHARE = ("--pid", "--fork", "--mount-proc", "--uts", "--kill-child")
OPTIONS = (UNSHARE, ("-r", *UNSHARE))  # as root, or as root of a user namespace
WORDS = ("model=simplenet", "optimizer.lr=0.1,0.01", "seed=0,1,2", "train.epochs=60", "device.threads=1", "plots=false")
COMMON = (*WORDS, "checkpoint.every_steps=200", "sweep.jobs=1")


def unshare() -> list[str]:
    """The command that starts another one in a container; none where that is not allowed."""
    if shutil.which("unshare") is None:
        return []
    for options in OPTIONS:
        command = ["unshare", *options]
        if subprocess.run([*command, "hostname", "other"], capture_output=True, check=False).returncode == 0:
            return command
    return []


CONTAINER = unshare()
pytestmark = [pytest.mark.faults, pytest.mark.skipif(not CONTAINER, reason="unshare: not installed, or not permitted")]


class Containers:
    """The processes that work on one sweep, each in a container, and all that they print."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, (folder / "printed").open("ab")
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, host: str, *words: str) -> subprocess.Popen[bytes]:
        script = 'hostname "$0"; exec "$@"'
        command = [*CONTAINER, "sh", "-c", script, host, sys.executable, "-um", "ptrun", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        started = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=self.log, stderr=self.log)
        self.processes.append(started)
        return started

    def wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert self.processes[0].poll() is None, (self.folder / "printed").read_text()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.processes[0].wait(0.1)


@pytest.fixture
def containers(folder: Path) -> Iterator[Containers]:
    made = Containers(folder)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()
    made.log.close()


def statuses(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "sw").glob("*/status.json"))]


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return sorted(row[:-1] for row in csv.reader(file))  # without the seconds


def test_containers_do_each_job_once_and_survive_a_kill(
    folder: Path, containers: Containers, process: Callable[..., Ended]
):
    containers.start("one", "train", "-m", *COMMON, "sweep.dir=sw")
    containers.wait_for((folder / "sw" / "sweep.json").is_file)
    containers.start("two", "train", "-m", *COMMON, "sweep.dir=sw")
    victim = containers.start("three", "sweep", "work", "sw", "sweep.jobs=1")

    def runs_everywhere() -> bool:
        running = [status["host"] for status in statuses(folder) if status["state"] == "running"]
        return {"one", "two", "three"} <= set(running)

    containers.wait_for(runs_everywhere)
    victim.kill()  # and with it all processes of its container
    victim.wait()
    containers.start("four", "sweep", "work", "sw", "sweep.jobs=1")
    assert [each.wait() for each in containers.processes] == [0, 0, -9, 0], (folder / "printed").read_text()

    assert [status["state"] for status in statuses(folder)] == ["done"] * 6
    printed = (folder / "printed").read_text()
    done = collections.Counter(re.findall(r"job (\d+) done:", printed))
    assert done == dict.fromkeys("012345", 1)
    assert process("train", "-m", *WORDS, "sweep.jobs=1", "sweep.dir=alone").code == 0
    assert table(folder / "sw" / "results.csv") == table(folder / "alone" / "results.csv")
