"""A path of a user's means one run or one checkpoint, or is answered with the ones there are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ptrun.errors import CheckpointError
from ptrun.files.lock import lock
from ptrun.runs.find import find_checkpoint, find_run, sweep_rows, sweep_runs, unfinished_runs
from ptrun.runs.folder import RunDir


def make_run(folder: Path, state: str = "done", value: float | None = None, **status: Any) -> RunDir:
    """A run folder as far as finding looks at it."""
    folder.mkdir(parents=True)
    run = RunDir(folder)
    run.write_status(state, **status)
    (folder / "resolved.yaml").write_text("{}")
    if value is not None:
        run.write_json("summary.json", {"monitor": "val/accuracy", "best_value": value, "higher_is_better": True})
    return run


def add_checkpoint(run: RunDir, name: str) -> Path:
    run.checkpoints.mkdir(exist_ok=True)
    (run.checkpoints / name).write_bytes(b"")
    return run.checkpoints / name


def test_a_folder_means_its_best_checkpoint_and_else_its_last(folder: Path):
    run = make_run(folder / "run")
    with pytest.raises(CheckpointError, match=r"looked for checkpoints/best\.pt and checkpoints/last\.pt"):
        find_checkpoint("run")
    last = add_checkpoint(run, "last.pt")
    assert find_checkpoint(str(run.path)) == (last, ())
    best = add_checkpoint(run, "best.pt")
    assert find_checkpoint(str(run.path)) == find_checkpoint(str(run.checkpoints)) == (best, ())
    assert find_checkpoint(str(last)) == (last, ())


def test_a_missing_checkpoint_is_answered_with_its_neighbours(folder: Path):
    add_checkpoint(make_run(folder / "run"), "best.pt")
    with pytest.raises(CheckpointError, match=r"no such file or folder\. In that folder: best\.pt\.$"):
        find_checkpoint("run/checkpoints/bset.pt")
    with pytest.raises(CheckpointError, match="Nothing was trained here yet"):
        find_checkpoint("outputs/latest")


def test_why_a_run_has_no_checkpoint_is_said(folder: Path):
    make_run(folder / "run", "failed", reason="The disk is full.")
    with pytest.raises(CheckpointError, match=r"That run ended with: The disk is full\."):
        find_checkpoint("run")


@pytest.fixture
def sweep(folder: Path) -> Path:
    path = folder / "outputs" / "day" / "sweep"
    for number, value in enumerate((0.5, None, 0.75)):
        run = make_run(path / str(number), "done" if value else "failed", value, reason="" if value else "no data")
        add_checkpoint(run, "best.pt")
    (path / "multirun.yaml").write_text("{}")
    return path


def test_a_sweep_means_its_best_run_where_a_checkpoint_is_wanted(sweep: Path):
    path, notes = find_checkpoint(str(sweep))
    assert path == sweep / "2" / "checkpoints" / "best.pt"
    assert notes == ("The best of the 3 runs of this sweep.",)


def test_a_sweep_is_refused_where_a_run_is_wanted(sweep: Path):
    with pytest.raises(CheckpointError, match=f"sweep of 3 runs.*: {sweep / '2'}, {sweep / '0'}, {sweep / '1'}"):
        find_run(str(sweep), "outputs")
    assert find_run(str(sweep / "1"), "outputs") == sweep / "1"


def test_rows_of_a_sweep_are_best_first_and_failed_ones_last(sweep: Path):
    (sweep / "1" / "receipt.json").write_text("{damaged")
    assert [(row["job"], row["value"], row["state"]) for row in sweep_rows(sweep)] == [
        ("2", 0.75, "done"),
        ("0", 0.5, "done"),
        ("1", None, "failed"),
    ]
    assert sweep_runs(sweep / "0") == []


def test_without_a_name_the_newest_unfinished_run_is_meant(folder: Path):
    with pytest.raises(CheckpointError, match="`ptrun train` starts a run"):
        find_run(None, "outputs")
    base = folder / "outputs" / "day"
    for age, (name, state) in enumerate(
        [("held", "running"), ("done", "done"), ("new", "interrupted"), ("old", "running")]
    ):
        run = make_run(base / name, state)
        os.utime(run.path / "status.json", (1000 - age, 1000 - age))
    (make_run(base / "evaluation", "running").path / "resolved.yaml").unlink()
    with lock(base / "held"):
        assert list(unfinished_runs("outputs")) == [base / "new", base / "old"]
        assert find_run(None, "outputs") == base / "new"
    assert find_run(None, "outputs") == base / "held"


def test_a_run_with_a_damaged_status_counts_as_unfinished(folder: Path):
    run = make_run(folder / "outputs" / "day" / "a")
    assert list(unfinished_runs("outputs")) == []
    (run.path / "status.json").write_text("{")
    assert list(unfinished_runs("outputs")) == [run.path]


def test_a_checkpoint_means_the_run_it_is_in(folder: Path):
    run = make_run(folder / "run")
    assert find_run(str(add_checkpoint(run, "last.pt")), "outputs") == run.path
    with pytest.raises(CheckpointError, match=r"neither a run folder nor a checkpoint in one\.$"):
        find_run(".", "outputs")
    with pytest.raises(CheckpointError, match="There is no such file or folder"):
        find_run("nothing", "outputs")
