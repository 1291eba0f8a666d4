"""When checkpoints are written, which ones are kept, and that writing beside the training changes and hides nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support import ROOT, train

from ptrun.build import run
from ptrun.checkpoint import names, store
from ptrun.checkpoint.saver import Saver
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.engine import progress
from ptrun.errors import DivergedError, ResourceError

SMALL = ("model=simplenet", "train.batch_size=64", "device.threads=1")  # 20 steps an epoch
CONSTANT: dict[str, Any] = {"config": {}, "spec": {}, "fitted": {}, "data": {}}
SETTINGS = {"every_epochs": 1, "every_steps": None, "every_minutes": None, "keep": 2, "keep_best": 1}


def parts_of(*overrides: str) -> run.Run:
    return run.build(auto.resolve_auto(load.load_config(Composer(), overrides).config)[0])


def kept_steps(run_dir: Path) -> list[int]:
    return [int(path.stem[5:]) for path in names.step_files(run_dir / "checkpoints")]


def records(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_every_steps_saves_within_an_epoch(folder: Path):
    result = train(
        *SMALL,
        "train.epochs=2",
        "checkpoint.every_steps=7",
        "checkpoint.every_epochs=9",
        "checkpoint.keep=20",
        "train.monitor=val/loss",
        quiet=True,
    )
    assert kept_steps(result.run_dir) == [7, 14, 20, 21, 28, 35, 40]  # 20 and 40: the best, and the last
    saved = store.load(result.run_dir / "checkpoints" / "step-00000028.pt")["progress"]
    assert (saved["epoch"], saved["batch"], saved["samples"]) == (1, 8, 8 * 64)


def test_every_minutes_saves_within_an_epoch_and_changes_no_number(folder: Path):
    often = train(*SMALL, "train.epochs=2", "checkpoint.every_minutes=1e-6", "checkpoint.keep=99", quiet=True)
    seldom = train(*SMALL, "train.epochs=2", quiet=True)
    assert kept_steps(often.run_dir) == list(range(1, 41))
    one, other = (store.load(r.run_dir / "checkpoints" / "last.pt")["model"] for r in (often, seldom))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [r["train/loss"] for r in records(often.run_dir)] == [r["train/loss"] for r in records(seldom.run_dir)]


@pytest.mark.parametrize(("monitor", "mode", "sign"), [("val/loss", "max", -1), ("val/accuracy", "min", 1)])
def test_the_best_are_kept(folder: Path, monitor: str, mode: str, sign: int):
    """Here the best are the first ones, which the newest can't stand in for."""
    result = train(
        *SMALL,
        "train.epochs=8",
        "checkpoint.keep_best=3",
        f"train.monitor={monitor}",
        f"train.monitor_mode={mode}",
        quiet=True,
    )
    ranked = sorted(records(result.run_dir), key=lambda r: (sign * r[monitor], r["val/loss"], r["step"]))
    best = {r["step"] for r in ranked[:3]}
    assert max(best) < 140, "the best must not be among the newest for this test to mean anything"
    assert set(kept_steps(result.run_dir)) == best | {140, 160}


def test_what_is_written_is_the_state_of_the_moment(folder: Path):
    """The writer works on copies: steps taken while it writes are not seen."""
    x = parts_of(*SMALL, "train.ema_decay=0.9").ctx
    before = {name: each.clone() for name, each in x.model.state_dict().items()}
    with Saver(x, folder, SETTINGS, CONSTANT) as saver:
        path = saver.save(progress.Progress(step=3))
        with torch.no_grad():
            for p in x.model.parameters():
                p.add_(1.0)
    assert path is not None
    saved = store.load(path)["model"]
    assert all(torch.equal(saved[name], each) for name, each in before.items())


def test_weights_that_are_not_finite_are_never_saved(folder: Path):
    x = parts_of(*SMALL).ctx
    x.model.register_buffer("mask", torch.full((3,), -torch.inf))  # such a buffer is no mishap
    with Saver(x, folder, SETTINGS, CONSTANT) as saver:
        saver.save(progress.Progress(step=1))
        name, weight = list(x.model.named_parameters())[-1]
        with torch.no_grad():
            weight[0] = torch.nan
        with pytest.raises(DivergedError, match=f"'{name}' are non-finite at step 2"):
            saver.save(progress.Progress(step=2), best=True)
    assert sorted(path.name for path in folder.iterdir()) == ["last.pt", "step-00000001.pt"]


def test_a_limit_of_file_sizes_ends_the_run_with_its_code(folder: Path):
    script = (
        "import resource, signal, sys\nfrom ptrun.cli.main import main\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "sys.exit(main(['train', 'model=simplenet', 'model.hidden_features=[2000]', 'train.epochs=50', "
        "'checkpoint.keep_best=2', '-q']))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, cwd=folder, check=False
    )
    assert done.returncode == 6, done.stderr
    assert "a limit of the system stops the saving of a checkpoint (File too large)" in done.stderr
    run_dir = (folder / "outputs" / "latest").resolve()
    assert json.loads((run_dir / "status.json").read_text())["exit_code"] == 6
    assert len(records(run_dir)) < 5
    assert list((run_dir / "checkpoints").iterdir()) == []


def test_too_little_space_is_told_before_writing(tmp_path: Path):
    huge = {"w": torch.zeros(1).expand(2**52)}
    with pytest.raises(ResourceError, match=r"it needs 18,014,399 GB, .* are free"):
        store.publish(tmp_path, {"model": huge, **CONSTANT}, step=1, best=False, keep=2)
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_two_names_for_one_weight_trains_on(folder: Path):
    """Saving while training, through a plugin whose head shares a weight."""
    (folder / "tied.py").write_text(
        "from torch import nn\nfrom ptrun.registry import models\n\n\n@models.register\ndef tied_twice(spec):\n"
        "    first = nn.Linear(spec.num_features, spec.num_features)\n"
        "    last = nn.Linear(spec.num_features, spec.num_outputs)\n"
        "    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), first, last)\n"
    )
    result = train("plugins=[tied.py]", "model=tied_twice", "train.epochs=1", quiet=True)
    saved = store.load(result.run_dir / "checkpoints" / "last.pt")["model"]
    assert saved["1.weight"].data_ptr() == saved["3.weight"].data_ptr()
