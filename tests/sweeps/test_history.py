"""The trials of a search are read from the folders of its jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ptrun.runs.folder import RunDir
from ptrun.sweeps.history import Outcome, Trial, read_trials


def job(folder: Path, name: str, trial: int, state: str, value: float | None = None, **status: Any) -> None:
    """The files of a job as far as a search reads them."""
    path = folder / name
    path.mkdir()
    (path / "job.json").write_text(json.dumps({"id": name, "trial": trial, "point": {"optimizer.lr": 0.1 * trial}}))
    if state:
        RunDir(path).write_status(state, **status)
    if value is not None:
        summary = {"monitor": "val/accuracy", "best_value": value, "higher_is_better": True, "epochs": 3}
        (path / "summary.json").write_text(json.dumps(summary))


def test_trials_and_their_outcomes(tmp_path: Path):
    job(tmp_path, "0", 0, "done", 0.5)
    job(tmp_path, "1", 0, "done", 0.7)
    job(tmp_path, "2", 1, "pruned", 0.25)
    job(tmp_path, "3", 2, "failed", exit_code=5)
    job(tmp_path, "4", 3, "failed", exit_code=1)
    job(tmp_path, "5", 4, "running")
    job(tmp_path, "6", 4, "done", 0.9)
    job(tmp_path, "7", 5, "")
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "job.json").write_text('{"id": "of a grid"}')
    trials = read_trials(tmp_path)
    assert [trial.outcome.value for trial in trials] == ["complete", "pruned", "bad", "failed", "running", "running"]
    assert trials[0] == Trial(0, {"optimizer.lr": 0.0}, Outcome.COMPLETE, 0.6, True, 3, None, (), frozenset("01"))
    assert trials[1].value == 0.25
