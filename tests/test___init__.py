"""`ptrun.train` is `ptrun train` from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import train

import ptrun
from ptrun.errors import ConfigError


def test_train_returns_the_run(folder: Path):
    result = train("model=simplenet", "train.epochs=1", quiet=True)
    assert result.run_dir.is_dir()
    assert result.summary["model"] == "simplenet"
    assert isinstance(result.value, float)


def test_ones_own_folder_of_yaml_files(folder: Path):
    (folder / "mine" / "experiment").mkdir(parents=True)
    (folder / "mine" / "experiment" / "own.yaml").write_text("# @package _global_\ntrain:\n  epochs: 0\n")
    with pytest.raises(ConfigError, match=r"train\.epochs: expected int >= 1, got 0"):
        ptrun.train("experiment=own", config_dir="mine")
