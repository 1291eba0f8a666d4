"""A trained model restored from a checkpoint gives the outputs that an evaluation of the same samples gives."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

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


def test_a_checkpoint_holds_the_settings_of_the_users_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf" / "transform").mkdir(parents=True)
    (tmp_path / "conf" / "checkpoint").mkdir()
    items = "[{resize: {size: [6, 6]}}, normalize]"
    (tmp_path / "conf" / "transform" / "small.yaml").write_text(f"name: small\ntrain: {items}\neval: {items}\n")
    (tmp_path / "conf" / "checkpoint" / "two.yaml").write_text("defaults: [default, _self_]\nname: two\nkeep_best: 2\n")
    monkeypatch.chdir(tmp_path)
    words = ("transform=small", "checkpoint=two", "train.max_steps=2", "plots=false", "device.threads=1")
    result = ptrun.train(*words, quiet=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    trained = load_trained_model(str(tmp_path / result.run_dir))
    assert trained.config.transform.name == "small"
    assert trained.spec.input_shape == (1, 6, 6)
    assert trained.pipeline is not None
    assert tuple(trained.pipeline.fixed(torch.zeros(1, 8, 8, dtype=torch.uint8)).shape) == (1, 6, 6)
    assert ptrun.eval(tmp_path / result.run_dir, plots=False, quiet=True).metrics == result.summary["test"]
