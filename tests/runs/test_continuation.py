"""A resumed run says from where it continues, and what differs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, newest_run, train

Call = Callable[..., Ended]
RUN = ("dataset=iris", "model=simplenet", "train.epochs=1", "device.threads=1")


@pytest.fixture
def run_dir(folder: Path) -> Path:
    return train(*RUN, quiet=True).run_dir


def test_the_place_is_named(run_dir: Path, ptrun: Call):
    ended = ptrun("resume", str(run_dir), "train.epochs=2")
    assert ended.code == 0, ended.err
    assert "epoch 2, step 4." in " ".join(ended.out.split())
    assert json.loads((run_dir / "status.json").read_text())["state"] == "done"


def test_a_run_without_checkpoints_starts_again(run_dir: Path, ptrun: Call):
    shutil.rmtree(run_dir / "checkpoints")
    (run_dir / "status.json").write_text(json.dumps({"state": "interrupted"}))
    ended = ptrun("resume", str(run_dir))
    assert ended.code == 0, ended.err
    assert "never saved a checkpoint" in " ".join((ended.out + ended.err).split())
    assert len((run_dir / "metrics.csv").read_text().splitlines()) == 2


def test_strict_runs_refuse_other_threads(folder: Path, ptrun: Call):
    assert ptrun("train", *RUN, "train.deterministic=strict").code == 0
    ended = ptrun("resume", str(newest_run(folder)), "train.epochs=2", "device.threads=2")
    assert ended.code == 2
    assert "threads" in ended.err
    assert "train.deterministic=strict" in ended.err
