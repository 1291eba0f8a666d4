"""One job: begun, continued or done over, also in a process that reads the plan from its file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import ROOT, Ended

from ptrun.checkpoint import store
from ptrun.config.compose import Composer
from ptrun.config.load import load_config
from ptrun.config.sweep import as_settings
from ptrun.files.claim import claim
from ptrun.process.children import ForkedChild, wait_for_any
from ptrun.runs import session  # noqa: F401 (imported here once, rather than in each child)
from ptrun.sweeps.job import JobRequest, run

Call = Callable[..., Ended]
WORDS = ("model=simplenet", "train.max_steps=3", "plots=false", "device.threads=1")


def end(folder: Path, *words: str, test: bool = True) -> int:
    """Run a job in a child. Returns its exit code."""
    loaded = load_config(Composer(), [*WORDS, *words])
    request = JobRequest(folder, loaded, words, ["ptrun"], (), 1, as_settings({}), test=test)
    folder.mkdir(exist_ok=True)
    made = claim(folder / ".claim")
    assert made is not None
    with made.file as file:
        child = ForkedChild(lambda: run(request, file), folder / "job.log")
    while (ended := child.poll()) is None:
        wait_for_any([child], 1)
    return ended.code


def status(folder: Path) -> dict[str, object]:
    values: dict[str, object] = json.loads((folder / "status.json").read_text())
    return values


def test_a_job_that_is_done_is_left_alone(folder: Path):
    assert end(folder / "0") == 0
    before = (folder / "0" / "status.json").read_bytes()
    assert end(folder / "0") == 0
    assert (folder / "0" / "status.json").read_bytes() == before


@pytest.mark.parametrize(
    ("ending", "is_continued"),
    [
        ({"state": "running"}, True),
        ({"state": "interrupted", "exit_code": 75}, True),
        ({"state": "failed", "exit_code": 137}, True),
        ({"state": "failed", "exit_code": 124}, True),
        ({"state": "failed", "exit_code": 1}, False),
        ({"state": "failed", "exit_code": 5}, False),
    ],
)
def test_a_stopped_job_is_continued_and_a_failed_one_is_done_over(
    folder: Path, ending: dict[str, object], is_continued: bool
):
    assert end(folder / "0") == 0
    (folder / "0" / "status.json").write_text(json.dumps(ending))
    assert end(folder / "0") == 0
    assert status(folder / "0")["state"] == "done"
    assert ("continued" in json.loads((folder / "0" / "receipt.json").read_text())) is is_continued


def test_a_job_can_be_tested_later(folder: Path):
    assert end(folder / "0", test=False) == 0
    summary = json.loads((folder / "0" / "summary.json").read_text())
    assert (summary["test"], (folder / "0" / "test").exists()) == ({}, False)
    assert end(folder / "0", test=False) == 0
    assert "continued" not in json.loads((folder / "0" / "receipt.json").read_text())
    weights = (folder / "0" / "checkpoints" / "last.pt").read_bytes()
    assert end(folder / "0") == 0
    tested = json.loads((folder / "0" / "summary.json").read_text())
    assert tested["test"]["accuracy"] > 0
    assert (tested["best_value"], tested["training_seconds"]) == (summary["best_value"], summary["training_seconds"])
    assert (folder / "0" / "checkpoints" / "last.pt").read_bytes() == weights


def test_an_error_before_the_run_begins_is_in_its_status(folder: Path):
    assert end(folder / "0", "weights=nothing.pt") != 0
    assert status(folder / "0")["state"] == "failed"
    assert "nothing.pt" in str(status(folder / "0")["reason"])
    assert "error: " in (folder / "0" / "job.log").read_text()


@pytest.mark.slow
def test_a_fresh_process_computes_what_a_forked_one_does(folder: Path, ptrun: Call):
    assert ptrun("train", "-m", *WORDS, "seed=3,4", "sweep.dir=forked").code == 0
    (folder / "fresh" / "0").mkdir(parents=True)
    plan = (folder / "forked" / "sweep.json").read_text()
    (folder / "fresh" / "sweep.json").write_text(plan)
    loaded, made = load_config(Composer(), WORDS), claim(folder / "fresh" / "0" / ".claim")
    assert made is not None
    request = JobRequest(folder / "fresh" / "0", loaded, (), (), (), 1, as_settings({}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with made.file as file:
        words = [sys.executable, *request.words(file)]
        subprocess.run(words, cwd=folder, env=environment, check=True, pass_fds=[file.fileno()])
    weights = [store.load(folder / sweep / "0" / "checkpoints" / "last.pt")["model"] for sweep in ("forked", "fresh")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    resolved = [(folder / sweep / "0" / "resolved.yaml").read_text() for sweep in ("forked", "fresh")]
    assert resolved[0] == resolved[1]
