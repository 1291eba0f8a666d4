"""`ptrun reproduce` runs a finished run again, and reports whether every bit is the same, and where not."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import Ended, newest_run, train

from ptrun.checkpoint import store

Call = Callable[..., Ended]
RUN = ("model=convnet", "transform=basic", "train.epochs=2", "train.batch_size=64", "device.threads=1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    base = tmp_path_factory.mktemp("finished")
    with contextlib.chdir(base):  # outside of any git checkout
        return train(*RUN, quiet=True).run_dir.resolve()


@pytest.fixture
def run_dir(finished: Path, folder: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(finished, folder / "run"))


def test_a_run_is_reproduced_in_a_new_folder(run_dir: Path, folder: Path, ptrun: Call):
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    ended = ptrun("reproduce", str(run_dir))
    assert ended.code == 0, ended.out + ended.err
    assert "Equal: every value of metrics.jsonl, the test results and every weight, bit for bit" in ended.out
    assert "The environment is the same" in ended.out
    assert {path: path.read_bytes() for path in before} == before
    assert newest_run(folder).parent.parent == folder / "outputs"
    receipt = json.loads((newest_run(folder) / "receipt.json").read_text())
    assert receipt["command"].startswith("ptrun reproduce")
    assert receipt["overrides"][: len(RUN)] == list(RUN), "`ptrun runs` shows the settings of a repeated run"


def test_the_first_different_metric_is_named(run_dir: Path, ptrun: Call):
    path = run_dir / "metrics.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records[1]["val/loss"] += 1e-9
    records[0]["seconds"] = 9.0
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    ended = ptrun("reproduce", str(run_dir))
    assert ended.code == 1
    assert "The first difference is val/loss in epoch 2" in ended.out
    assert "weights differ" not in ended.out


def test_the_first_different_weight_is_named(run_dir: Path, ptrun: Call):
    path = run_dir / "checkpoints" / "last.pt"
    state = store.load(path)
    name = list(state["model"])[2]
    state["model"][name][(0,) * state["model"][name].dim()] += 0.5
    path.unlink()
    torch.save(state, path)
    ended = ptrun("reproduce", str(run_dir))
    assert ended.code == 1
    assert f"first in '{name}' (1 of" in ended.out
    assert "0.5 apart" in ended.out


@pytest.mark.slow
def test_a_different_environment_is_reported(run_dir: Path, ptrun: Call):
    path = run_dir / "receipt.json"
    receipt = json.loads(path.read_text())
    receipt["packages"]["torch"] = "1.0"
    receipt["data"]["train"] = "other"
    path.write_text(json.dumps(receipt))
    ended = ptrun("reproduce", str(run_dir), "device.threads=2")
    assert "torch: 1.0 in the run" in ended.out
    assert "data (train): other in the run" in ended.out
    assert "CPU threads: 1 in the run, 2 again" in ended.out
    torch.set_num_threads(1)


def test_a_run_that_was_extended_is_told(folder: Path, ptrun: Call):
    ptrun("train", "model=simplenet", "train.epochs=1", "-q")
    run_dir = newest_run(folder)
    ptrun("resume", str(run_dir), "train.epochs=2", "-q")
    ended = ptrun("reproduce", str(run_dir))
    assert ended.code == 1  # the schedule of the first epoch was that of a shorter run
    before, _, after = ended.out.partition("Not reproduced")
    for part in (before, after):
        assert "changed when it was continued" in part
        assert "train.epochs: 1 until now, 2 from here on" in part


@pytest.mark.slow
def test_a_run_folder_names_neither_code_nor_places(folder: Path, process: Call):
    (folder / "mine.py").write_text(
        "from ptrun.registry import models\nfrom torch import nn\nfrom pathlib import Path\nPath('ran.txt').touch()\n\n"
        "@models.register\ndef reproduced_tiny(spec):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(spec.num_features, spec.num_outputs))\n"
    )
    marks = ("model=reproduced_tiny", "train.epochs=1", "output_dir=away", "-q")
    assert process("train", "plugins=[mine.py]", *marks).code == 0
    (folder / "ran.txt").unlink()
    ended = process("reproduce", "away/latest")
    assert ended.code == 2
    assert "plugins=[FILE.py]" in ended.err
    assert not (folder / "ran.txt").exists()
    ended = process("reproduce", "away/latest", "plugins=[mine.py]")
    assert ended.code == 0, ended.err
    assert newest_run(folder).is_dir()


def test_what_can_not_be_reproduced_is_told(run_dir: Path, ptrun: Call):
    assert "can't be changed here" in ptrun("reproduce", str(run_dir), "optimizer.lr=1").err
    (run_dir / "status.json").write_text('{"state": "interrupted"}')
    ended = ptrun("reproduce", str(run_dir))
    assert ended.code == 4
    assert "`ptrun resume` finishes it" in ended.err
    assert ptrun("reproduce", "--help").out.startswith("ptrun reproduce RUN")
