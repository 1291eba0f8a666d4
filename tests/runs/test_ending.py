"""A run folder says how its run ended: a stop signal leaves it resumable, a refusal leaves `latest` alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import Ended, newest_run, train

from ptrun.runs.ending import note_end
from ptrun.runs.folder import RunDir

Call = Callable[..., Ended]
# Sends a signal to its own process at the point that the environment names.
PLUGIN = """
import os, signal
from torch import nn
from ptrun.registry import metrics, models

seen = []


def stop(where):
    if os.environ.get("STOP_IN", "").split(":")[0] == where:
        seen.append(os.getcwd())  # another one for each test
        if seen.count(os.getcwd()) == int(os.environ["STOP_IN"].split(":")[1]):
            os.kill(os.getpid(), getattr(signal, os.environ["STOP_BY"]))


class Net(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(4, spec.num_outputs)

    def forward(self, inputs):
        stop("step" if self.training else "validation")
        return self.layer(inputs)


@models.register
def stopping(spec):
    stop("build")
    return Net(spec)


@metrics.register
def share_right(p):
    stop("test")
    return float((p.values == p.targets).mean())


share_right.better = "higher"
"""
# 15 samples to validate on, in batches of 4.
RUN = ("dataset=iris", "model=stopping", "metrics=[share_right]", "train.eval_batch_size=4")
RUN += ("train.epochs=2", "device.threads=1", "device.compile=none")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The setting that imports the plugin; one file for all tests, because a name can be registered once."""
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return f"plugins=[{path}]"


@pytest.fixture
def stopped(
    folder: Path, plugin: str, ptrun: Call, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], tuple[Ended, Path]]:
    """Train and send a signal at a point; returns the ended command and its run folder."""

    def call(where: str, name: str) -> tuple[Ended, Path]:
        monkeypatch.setenv("STOP_IN", where)
        monkeypatch.setenv("STOP_BY", name)
        ended = ptrun("train", plugin, *RUN)
        monkeypatch.delenv("STOP_IN")
        [status] = (folder / "outputs").glob("2*/*/status.json")
        return ended, status.parent

    return call


def status(run_dir: Path) -> tuple[str, int]:
    found = json.loads((run_dir / "status.json").read_text())
    return found["state"], found["exit_code"]


def steps(run_dir: Path) -> list[Any]:
    return [json.loads(line)["step"] for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("build:1", "SIGTERM"),
        ("build:1", "SIGUSR1"),
        ("step:3", "SIGHUP"),
        ("validation:2", "SIGTERM"),
        ("validation:6", "SIGINT"),  # of the second epoch
        ("test:1", "SIGUSR1"),
        ("test:1", "SIGINT"),
    ],
)
def test_a_stopped_run_is_resumed(stopped: Any, plugin: str, ptrun: Call, where: str, name: str):
    ended, run_dir = stopped(where, name)
    assert ended.code == 75, ended.err
    assert ended.err.startswith(f"Stopped by {name}")
    assert f"ptrun resume {run_dir.relative_to(Path.cwd())}" in ended.err
    assert status(run_dir) == ("interrupted", 75)
    assert ended.err.strip() in (run_dir / "train.log").read_text()
    again = ptrun("resume", str(run_dir), plugin)
    assert again.code == 0, again.err
    assert status(run_dir) == ("done", 0)
    assert steps(run_dir) == [4, 8]


def test_a_validation_is_stopped_between_its_batches(stopped: Any):
    _, run_dir = stopped("validation:2", "SIGTERM")
    assert steps(run_dir) == []


def test_a_refused_run_leaves_latest_alone(folder: Path, ptrun: Call):
    refused = ("train", "dataset=iris", "model=simplenet", "train.batch_size=1000", "train.drop_last=true")
    assert ptrun(*refused).code in (2, 3)
    assert not (folder / "outputs" / "latest").exists()
    run_dir = train("dataset=iris", "model=simplenet", "train.epochs=1", quiet=True).run_dir
    assert ptrun(*refused).code in (2, 3)
    assert newest_run(folder) == run_dir.resolve()


def test_the_end_of_a_process_that_is_gone_can_be_noted(tmp_path: Path):
    run_dir = RunDir(tmp_path)
    run_dir.write_status("running")
    note_end(run_dir, "The process was killed.", 137)
    status = run_dir.read_json("status.json")
    assert (status["state"], status["reason"], status["exit_code"]) == ("failed", "The process was killed.", 137)
    assert "error: The process was killed." in run_dir.log.read_text()


def test_a_run_that_exits_says_so(folder: Path):
    (folder / "exits.py").write_text(
        "import sys\nfrom ptrun.registry import models\n@models.register\ndef exits(spec):\n    sys.exit(4)\n"
    )
    with pytest.raises(SystemExit):
        train("plugins=[exits.py]", "model=exits")
    run = next((folder / "outputs").glob("*/*/status.json"))
    assert json.loads(run.read_text())["reason"] == "The code of this run ended its process: sys.exit(4)."
