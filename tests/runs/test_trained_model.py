"""A trained model restored from a checkpoint gives the outputs that an evaluation of the same samples gives."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import ptrun
from ptrun.build.batches import eval_batches
from ptrun.build.data import prepare
from ptrun.errors import CheckpointError, ConfigError
from ptrun.runs.trained_model import Changes, load_trained_model


def test_outputs_are_those_of_the_evaluation(tmp_path: Path) -> None:
    result = ptrun.train("train.epochs=1", "plots=false", f"output_dir={tmp_path}", "device.threads=1", quiet=True)
    trained = load_trained_model(str(result.run_dir))
    prepared = prepare(trained.config, fitted=trained.content["fitted"])
    loader = eval_batches(trained.config, prepared, trained.runtime, prepared.data.test)
    confidences = [
        f"{row.softmax(0).max():.6g}" for batch in loader.epoch(0) for row in trained.outputs(batch.inputs).double()
    ]
    with (result.run_dir / "test" / "predictions.csv").open(newline="") as file:
        assert confidences == [row["confidence"] for row in csv.DictReader(file)]


def test_changes_are_checked(tmp_path: Path) -> None:
    result = ptrun.train("train.epochs=1", "plots=false", f"output_dir={tmp_path}", "device.threads=1", quiet=True)
    with pytest.raises(ConfigError, match=r"model.width: can't be changed here"):
        load_trained_model(str(result.run_dir), Changes({"model.width": 3}))
    with pytest.raises(CheckpointError, match="no such file"):
        load_trained_model(str(tmp_path / "absent.pt"))
