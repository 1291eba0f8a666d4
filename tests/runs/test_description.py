"""What a checkpoint says of itself, with its run folder around it and without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, newest_run, train

from ptrun.errors import CheckpointError
from ptrun.runs.description import describe, run_around

Call = Callable[..., Ended]


@pytest.fixture
def run_dir(folder: Path) -> Path:
    settings = ("dataset=wine", "model=simplenet", "checkpoint.keep=9", "checkpoint.every_steps=3")
    train(*settings, "train.epochs=3", quiet=True)
    return newest_run(folder)


def test_all_of_a_checkpoint_in_its_run_folder(run_dir: Path):
    found = describe(str(run_dir))
    assert found["checkpoint"] == str(run_dir / "checkpoints" / "best.pt")
    assert found["model"]["name"] == "simplenet"
    assert found["model"]["parameters"] == 13 * 64 + 64 + 64 * 3 + 3
    data = found["data"]
    assert (data["dataset"], data["task"], data["input_shape"]) == ("wine", "classification", [13])
    assert sum(data["splits"].values()) == 178
    assert data["classes"] == ["class_0", "class_1", "class_2"]
    assert sum(data["class_counts"]) == data["splits"]["train"]
    assert data["columns"][:2] == ["alcohol", "malic_acid"]
    assert found["test"]["num_samples"] == data["splits"]["test"]
    assert "most frequent class" in found["test"]["baselines"]
    assert found["training"]["monitor"] == "val/loss"
    assert found["training"]["started"].startswith("20")
    assert found["verdict"]
    assert found["run"] == {"folder": str(run_dir), "state": "done"}
    assert found["versions"].keys() >= {"ptrun", "torch"}


def test_the_file_alone(run_dir: Path, folder: Path):
    shutil.move(run_dir / "checkpoints" / "best.pt", folder / "m.pt")
    found = describe("m.pt")
    assert run_around(folder / "m.pt") is None
    assert found["run"] is None
    assert found["test"] is None
    assert "resume" not in found["use"]
    assert sum(found["data"]["class_counts"]) == 124


def test_results_are_those_of_the_tested_weights_only(run_dir: Path):
    best = describe(str(run_dir))
    others = [describe(str(path)) for path in (run_dir / "checkpoints").glob("step-*.pt")]
    assert {found["training"]["step"] for found in others} >= {3, 6, 9, 12}
    for found in others:
        assert (found["test"] is not None) == (found["training"]["step"] == best["training"]["step"])


def test_the_weights_of_a_run_that_ends_within_an_epoch_have_its_results(folder: Path):
    train("dataset=wine", "model=simplenet", "train.max_steps=2", "checkpoint.every_steps=1", quiet=True)
    run_dir = newest_run(folder)
    found = describe(str(run_dir))
    assert found["training"]["step"] == 2
    assert found["test"] is not None
    assert found["verdict"]
    assert describe(str(run_dir / "checkpoints" / "step-00000001.pt"))["test"] is None
    assert describe(str(run_dir / "checkpoints" / "last.pt"))["test"] is not None


@pytest.mark.slow
def test_every_command_works_as_it_stands(run_dir: Path, process: Call):
    uses = describe(str(run_dir))["use"]
    for verb in ("eval", "predict", "resume", "publish"):
        ended = process(*uses[verb].split()[1:])
        assert ended.code == 0, ended.err


@pytest.mark.slow
def test_the_file_of_a_plugin_is_asked_for_and_never_taken_from_the_checkpoint(
    ptrun: Call, process: Call, folder: Path
):
    lines = ("from ptrun.registry import models", "from torch import nn", "@models.register", "def mine_alone(spec):")
    network = "    return nn.Sequential(nn.Flatten(), nn.Linear(spec.num_features, spec.num_outputs))"
    (folder / "mine.py").write_text("\n".join([*lines, network]) + "\n")
    assert ptrun("train", "plugins=[mine.py]", "model=mine_alone", "train.max_steps=1", "-q").code == 0
    shown = process("show", "outputs/latest", "--json").out  # a process that has not imported the plugin
    assert json.loads(shown)["use"]["eval"].endswith(" plugins=[FILE.py]")


def test_what_is_no_checkpoint_is_told(folder: Path):
    Path("a.pt").write_text("x")
    with pytest.raises(CheckpointError, match=r"a\.pt: is cut off, damaged, or not a checkpoint"):
        describe("a.pt")
