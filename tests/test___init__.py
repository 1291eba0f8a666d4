"""`ptrun.train` is `ptrun train` from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import train

import ptrun
from ptrun.errors import ConfigError


def test_train_returns_the_run(folder: Path):
    result = train("model=simplenet", "train.epochs=1", quiet=True)
    assert result.run_dir.is_dir()
    assert result.summary["model"] == "simplenet"
    assert isinstance(result.value, float)


def test_the_state_of_the_caller_stays_and_does_not_matter(folder: Path):
    """Another library may have set a default dtype that no data have."""
    torch.manual_seed(3)
    expected = float(torch.rand(()))
    torch.manual_seed(3)
    torch.set_default_dtype(torch.float64)
    try:
        ptrun.train("dataset=iris", "model=simplenet", "train.epochs=1", "plots=false", "device.threads=1", quiet=True)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert float(torch.rand(())) == expected


def test_ones_own_folder_of_yaml_files(folder: Path):
    (folder / "mine" / "experiment").mkdir(parents=True)
    (folder / "mine" / "experiment" / "own.yaml").write_text("# @package _global_\ntrain:\n  epochs: 0\n")
    with pytest.raises(ConfigError, match=r"train\.epochs: expected int >= 1 or auto, got 0"):
        ptrun.train("experiment=own", config_dir="mine")
