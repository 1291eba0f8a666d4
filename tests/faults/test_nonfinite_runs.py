"""Non-finite losses: the run stops with 5, skips the steps, or rolls back; they never reach a checkpoint."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from faulty import KILLED, LEAN, assert_equal_runs, done, latest, load, ptrun, refused, start
from faulty import PLUGIN as INSTANTS_FILE

pytestmark = pytest.mark.faults
# Only the samples of a batch decide where NaN occurs, so that a killed run meets the same ones again.
PLUGIN = """
import torch
import torch.nn.functional as F
from ptrun.registry import losses


@losses.register
def bad_batches(outputs, targets, *, modulus: int = 7):
    loss = F.cross_entropy(outputs, targets)
    bad = outputs.requires_grad and int(targets.sum()) % modulus == 0
    return loss * torch.nan if bad else loss
"""
EVERY_STEPS = "checkpoint.every_steps=3"
RUN = (
    *("model=regularized", "loss=bad_batches", "train.epochs=2", "train.batch_size=64", "device.threads=1"),
    *(EVERY_STEPS, *LEAN),
)


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    path = tmp_path / "bad.py"
    path.write_text(PLUGIN)
    return str(path)


def assert_finite(run_dir: Path) -> None:
    for path in (run_dir / "checkpoints").iterdir():
        weights = load(path)["model"]
        assert all(bool(torch.isfinite(weight).all()) for weight in weights.values()), path


def test_stop(tmp_path: Path, plugin: str):
    message = refused(tmp_path, 5, "train", *RUN, f"plugins=[{plugin}]")
    assert "The training loss became nan at step" in message
    assert "learning rate" in message
    run_dir = latest(tmp_path)
    assert json.loads((run_dir / "status.json").read_text())["exit_code"] == 5
    assert_finite(run_dir)
    assert "The training loss became nan" in refused(tmp_path, 5, "resume", f"plugins=[{plugin}]")
    changes = ("loss.modulus=1000003", "--allow-change", "loss.modulus", f"plugins=[{plugin}]")
    assert_finite(done(tmp_path, "resume", *changes))


@pytest.mark.parametrize(("mode", "modulus", "counted"), [("skip", 7, "skipped_steps"), ("rollback", 37, "rollbacks")])
def test_go_on_also_after_a_kill(tmp_path: Path, plugin: str, mode: str, modulus: int, counted: str):
    settings = (*RUN, f"loss.modulus={modulus}", f"train.on_nonfinite={mode}")
    (tmp_path / "whole").mkdir()
    whole = done(tmp_path / "whole", "train", *settings, f"plugins=[{plugin}]")
    assert json.loads((whole / "summary.json").read_text())[counted] > 0
    assert_finite(whole)
    both = f"plugins=[{plugin},{INSTANTS_FILE}]"
    assert ptrun(tmp_path, "train", *settings, both, DIE_AT="9 rename last.pt").code == KILLED
    assert_equal_runs(done(tmp_path, "resume", f"plugins=[{plugin}]"), whole)


def test_a_stop_before_the_bad_step_changes_no_bit(tmp_path: Path, plugin: str):
    """Rollback returns to the weights after the last epoch, and not to the checkpoint that the stop asked for."""
    settings = (*(word for word in RUN if word != EVERY_STEPS), "loss.modulus=37", "checkpoint.every_steps=null")
    folders = [tmp_path / name for name in ("whole", "diverged", "stopped")]
    for folder in folders:
        folder.mkdir()
    whole = done(folders[0], "train", *settings, "train.on_nonfinite=rollback", f"plugins=[{plugin}]")
    match = re.search(r"at step (\d+),", refused(folders[1], 5, "train", *settings, f"plugins=[{plugin}]"))
    assert match is not None
    bad = int(match.group(1))
    assert (bad - 1) % 20 > 0  # a step of the same epoch comes before it
    both = f"plugins=[{plugin},{INSTANTS_FILE}]"
    rollback = (*settings, "train.on_nonfinite=rollback")
    process = start(folders[2], "train", *rollback, both, STOP_AT=f"{bad - 1} train Regularized")
    process.wait_until_stopped()
    os.kill(process.popen.pid, signal.SIGTERM)
    os.kill(process.popen.pid, signal.SIGCONT)
    assert process.wait().code == 75
    assert load(latest(folders[2]) / "checkpoints" / "last.pt")["progress"]["step"] == bad - 1
    assert_equal_runs(done(folders[2], "resume", f"plugins=[{plugin}]"), whole)
