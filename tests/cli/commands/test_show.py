"""`ptrun show`: prints what `ptrun train` would use, and runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from support import Ended

Call = Callable[..., Ended]


def test_prints_what_train_would_use(folder: Path, ptrun: Call):
    shown = yaml.safe_load(ptrun("show", "model=convnet", "train.epochs=3").out)
    assert shown["model"]["name"] == "convnet"
    assert shown["train"]["epochs"] == 3
    assert not Path("outputs").exists()


def test_another_root_file(folder: Path, ptrun: Call):
    (folder / "mine").mkdir()
    (folder / "mine" / "short.yaml").write_text("defaults:\n  - train\n  - _self_\ntrain:\n  epochs: 2\n")
    shown = yaml.safe_load(ptrun("show", "--config-dir", "mine", "--config-name", "short").out)
    assert shown["train"]["epochs"] == 2


def test_secrets_are_hidden(ptrun: Call):
    assert "hunter2" not in ptrun("show", "dataset.api_key=hunter2").out


def test_mistakes_end_with_2(ptrun: Call):
    ended = ptrun("show", "train.epoch=3")
    assert ended.code == 2
    assert "Did you mean 'train.epochs'?" in ended.err
