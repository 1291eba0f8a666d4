"""Runs written by an older version are still evaluated, verified, resumed and reproduced (tests/fixtures/run-0.1).

Numbers are compared within a tolerance: another torch version or processor may round differently.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT, Ended, newest_evaluation, newest_run

Call = Callable[..., Ended]
OLD_RUNS = ROOT / "tests" / "fixtures" / "run-0.1"
LINKS = {  # names in checkpoints/ that the fixture leaves out, and the files that they are
    "finished": {"last.pt": "step-00000052.pt", "best.pt": "step-00000052.pt"},
    "interrupted": {"last.pt": "step-00000030.pt", "best.pt": "step-00000026.pt"},
}


def copy_run(name: str, folder: Path) -> Path:
    run_dir = Path(shutil.copytree(OLD_RUNS / name, folder / name))
    for link, file in LINKS[name].items():
        os.link(run_dir / "checkpoints" / file, run_dir / "checkpoints" / link)
    return run_dir


@pytest.fixture
def finished(folder: Path) -> Path:
    return copy_run("finished", folder)


@pytest.fixture
def interrupted(folder: Path) -> Path:
    return copy_run("interrupted", folder)


def val_losses(run_dir: Path) -> list[float]:
    with (run_dir / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [float(row["val/loss"]) for row in csv.DictReader(file)]


def metrics_of(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["metrics"]


@pytest.mark.parametrize("name", LINKS)
def test_an_old_run_is_verified(name: str, folder: Path, ptrun: Call):
    ended = ptrun("verify", str(copy_run(name, folder)))
    assert ended.code == 0, ended.out + ended.err
    assert "DAMAGED" not in ended.out


def test_an_old_checkpoint_is_evaluated(finished: Path, folder: Path, ptrun: Call):
    ended = ptrun("eval", f"checkpoint={finished}")
    assert ended.code == 0, ended.err
    assert metrics_of(newest_evaluation(folder)) == pytest.approx(metrics_of(finished / "test"), abs=0.03)


def test_an_old_checkpoint_is_exported(finished: Path, ptrun: Call):
    ended = ptrun("export", str(finished), "format=safetensors")
    assert ended.code == 0, ended.err
    assert "equal to the checkpoint" in ended.out


def test_an_old_interrupted_run_is_resumed_within_its_epoch(interrupted: Path, finished: Path, ptrun: Call):
    ended = ptrun("resume", str(interrupted))
    assert ended.code == 0, ended.err
    assert json.loads((interrupted / "status.json").read_text(encoding="utf-8"))["state"] == "done"
    assert val_losses(interrupted) == pytest.approx(val_losses(finished), rel=1e-3)
    assert json.loads((interrupted / "summary.json").read_text(encoding="utf-8"))["steps"] == 52


def test_an_old_finished_run_is_extended(finished: Path, ptrun: Call):
    ended = ptrun("resume", str(finished), "train.epochs=3")
    assert ended.code == 0, ended.err
    assert len(val_losses(finished)) == 3
    assert json.loads((finished / "summary.json").read_text(encoding="utf-8"))["steps"] == 78


def test_an_old_run_is_reproduced(finished: Path, folder: Path, ptrun: Call):
    """Exit code 1 is allowed, because it means that all was compared and the bits differ."""
    ended = ptrun("reproduce", str(finished))
    assert ended.code in (0, 1), ended.err
    assert "reproduced" in ended.out.lower()
    assert val_losses(newest_run(folder)) == pytest.approx(val_losses(finished), rel=1e-3)
