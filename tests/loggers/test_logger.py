"""Every registered logger has the methods of the interface."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun import catalog
from ptrun.registry import loggers

assert catalog.MODULES  # importing it filled the registries


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard's own imports
@pytest.mark.parametrize("name", sorted(loggers))
def test_a_logger_takes_records_between_start_and_close(tmp_path: Path, name: str):
    if name == "tensorboard":
        pytest.importorskip("tensorboard")
    logger = loggers.build(name, {}, run_dir=tmp_path, resume_step=None)
    logger.start(tmp_path, {"model": {"name": "simplenet"}})
    logger.log({"epoch": 1, "step": 10, "train/loss": 0.5, "val/loss": None, "best": True})
    logger.close()
    assert any(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
