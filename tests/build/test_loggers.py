"""A run always writes its files; another logger comes in addition."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import run_config

from ptrun import catalog
from ptrun.build.loggers import build_loggers

assert catalog.MODULES  # importing it fills the registries


@pytest.mark.parametrize(("logger", "count"), [("files", 1), ("tensorboard", 2)])
def test_files_are_always_written(tmp_path: Path, logger: str, count: int):
    pytest.importorskip("tensorboard")
    loggers = build_loggers(run_config("model=simplenet", f"logger={logger}"), tmp_path, resume_step=None)
    assert len(loggers) == count
    for item in loggers:
        item.start(tmp_path, {})
        item.log({"epoch": 1, "step": 3, "train/loss": 0.5})
        item.close()
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["epoch,step,train/loss", "1,3,0.5"]
    assert any(tmp_path.rglob("events.out.*")) == (logger == "tensorboard")
