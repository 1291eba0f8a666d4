"""How the jobs do that workers run: each beginning and end is told once, as the process that runs them would."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from ptrun.files.lock import lock
from ptrun.runs.folder import RunDir
from ptrun.sweeps.watcher import Watcher
from ptrun.terminal.console import Console


def write(job: Path, state: str, **test: float) -> None:
    job.mkdir(exist_ok=True)
    RunDir(job).write_status(state, reason="it diverged" if state == "failed" else "", exit_code=0)
    if state == "done":
        summary = {"monitor": "val/loss", "best_value": 0.5, "test": test}
        RunDir(job).write_json("summary.json", summary)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A plan of three jobs, of which one is done."""
    jobs = [{"job": name, "id": name, "overrides": ["model=simplenet", f"seed={name}"]} for name in "012"]
    (tmp_path / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    write(tmp_path / "0", "done")
    return tmp_path


def test_a_job_begins_ends_and_is_tested(sweep: Path, capsys: pytest.CaptureFixture[str]):
    stream = io.StringIO()
    watcher = Watcher(sweep, Console(stream=stream), ["seed"], 3)
    for state in ("running", "done"):
        for job in "01":  # the first one, which is done, is tested
            write(sweep / job, state, **({"accuracy": 0.9} if job == "0" else {}))
        with lock(sweep / "0"), lock(sweep / "1"):
            watcher.look()
            watcher.look()
    write(sweep / "2", "failed")
    watcher.look()
    assert stream.getvalue().splitlines() == [
        "  job 0 is tested: seed=0",
        "  job 1 started: seed=1",
        "  job 0 tested: accuracy 90.00 %",
        "  job 1 done: val/loss 0.5000",
    ]
    assert capsys.readouterr().err == "error: job 2 failed: it diverged\n"


def test_a_test_that_ends_between_two_looks_is_told(sweep: Path):
    stream = io.StringIO()
    watcher = Watcher(sweep, Console(stream=stream), ["seed"], 3)
    write(sweep / "0", "done", accuracy=0.9)
    watcher.look()
    watcher.look()
    assert stream.getvalue() == "  job 0 tested: accuracy 90.00 %\n"


def test_the_first_job_of_a_search_is_told(tmp_path: Path):
    (tmp_path / "sweep.json").write_text('{"jobs": []}')
    stream = io.StringIO()
    watcher = Watcher(tmp_path, Console(stream=stream), ["optimizer.lr"], 40)
    watcher.look()
    write(tmp_path / "0", "running")
    RunDir(tmp_path / "0").write_json("job.json", {"id": "a", "trial": 0, "overrides": ["optimizer.lr=0.1"]})
    with lock(tmp_path / "0"):
        watcher.look()
    assert stream.getvalue() == "  job 0 started: optimizer.lr=0.1\n"
