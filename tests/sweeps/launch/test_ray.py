"""Workers on a real local cluster of Ray; one is killed, and all are stopped by Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import ROOT, Ended

from ptrun.config.sweep import as_settings
from ptrun.errors import ConfigError
from ptrun.sweeps.launch import ray

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="not installed: ray")
WORDS = ("train", "-m", "model=simplenet", "seed=0,1", "optimizer.lr=0.01,0.001", "device.threads=1", "plots=false")
LAUNCHED = ("sweep.dir=sw", "sweep.launch=ray", "sweep.workers=2")


def driver(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ptrun", *WORDS, "checkpoint.every_steps=50", *words],
        cwd=folder,
        env={**{key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def running(sweep: Path) -> list[int]:
    """The processes of the jobs that train."""
    statuses = [json.loads(path.read_text()) for path in sorted(sweep.glob("*/status.json"))]
    begun = {path.parent.parent.name for path in sweep.glob("*/checkpoints/last.pt")}
    return [
        status["pid"]
        for path, status in zip(sorted(sweep.glob("*/status.json")), statuses, strict=True)
        if status["state"] == "running" and path.parent.name in begun
    ]


def wait_for_jobs(started: subprocess.Popen[str], sweep: Path) -> list[int]:
    while not (pids := running(sweep)):
        assert started.poll() is None, started.communicate()[0]
        with suppress(subprocess.TimeoutExpired):
            started.wait(0.1)
    return pids


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'not installed.*pip install "ptrun\[ray\]"'):
        ray.check()


def test_a_worker_leaves_other_cores_to_others():
    settings = as_settings({"launch": "ray", "worker_cpus": 2, "worker_gpus": 1})
    assert (settings.worker_cpus, settings.worker_gpus) == (2, 1)
    with pytest.raises(ConfigError, match=r"sweep\.worker_cpus"):
        as_settings({"launch": "ray", "worker_cpus": 0})


@needs_ray
@pytest.mark.slow
def test_a_killed_worker_is_started_again_and_the_table_is_that_of_a_plain_run(
    folder: Path, process: Callable[..., Ended]
):
    started = driver(folder, *LAUNCHED, "train.epochs=60")
    [pid, *_] = wait_for_jobs(started, folder / "sw")
    os.kill(parent(pid), signal.SIGKILL)
    out, _ = started.communicate()
    assert started.returncode == 0, out
    assert "Workers: 2, tasks of Ray at" in out
    finished = re.findall(r"job (\d+) done:", out)
    assert {*finished} == {"0", "1", "2", "3"}
    assert process(*WORDS, "train.epochs=60", "sweep.dir=plain").code == 0
    tables = [(folder / sweep / "results.csv").read_text().splitlines() for sweep in ("sw", "plain")]
    assert len(tables[0]) == 5
    assert [line.rpartition(",")[0] for line in tables[0]] == [line.rpartition(",")[0] for line in tables[1]]
    for job in "0123":  # a job done twice would have its epochs twice
        records = (folder / "sw" / job / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(record)["epoch"] for record in records] == list(range(1, 61))


@needs_ray
@pytest.mark.slow
def test_ctrl_c_stops_the_workers_after_they_have_saved(folder: Path, process: Callable[..., Ended]):
    started = driver(folder, *LAUNCHED, "train.epochs=3000")
    jobs = wait_for_jobs(started, folder / "sw")
    workers = [parent(pid) for pid in jobs]
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does
    out, _ = started.communicate()
    assert started.returncode == 75, out
    assert "The workers were stopped." in out
    assert [pid for pid in (*jobs, *workers) if Path(f"/proc/{pid}").exists()] == []
    states = [json.loads(path.read_text())["state"] for path in (folder / "sw").glob("*/status.json")]
    assert states
    assert {*states} == {"interrupted"}


@needs_ray
@pytest.mark.slow
def test_more_than_the_machine_has_is_refused(folder: Path):
    started = driver(folder, *LAUNCHED, "sweep.worker_cpus=4000")
    out, _ = started.communicate()
    assert started.returncode == 6, out
    assert "a worker wants 4000 cores and 0 GPUs, and this machine has" in out
