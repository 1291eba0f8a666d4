"""`ptrun show PATH`: the description of a checkpoint in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, newest_run

Call = Callable[..., Ended]


@pytest.fixture
def table(ptrun: Call, folder: Path) -> Path:
    rows = [f"{'cook' if i % 3 else 'clerk'},{i % 7 + i / 100},{i % 5 + i % 3}" for i in range(60)]
    (folder / "t.csv").write_text("job,hours,income\n" + "\n".join(rows) + "\n")
    settings = ("dataset=table", "dataset.path=t.csv", "dataset.target=income", "dataset.task=regression")
    assert ptrun("train", *settings, "train.epochs=1", "-q").code == 0
    return newest_run(folder)


@pytest.mark.parametrize("words", [["outputs/latest"], ["checkpoint=outputs/latest"]])
def test_in_words(words: list[str], table: Path, ptrun: Call):
    out = ptrun("show", *words).out
    for text in (
        "simplenet trained on table",
        "path=t.csv, target=income; 42 train, 6 val, 12 test",
        "columns: job, hours",
        "1 number: income",
        "training mean",
        f"ptrun resume {table} train.epochs=2",
        "ptrun eval checkpoint=outputs/latest/checkpoints/best.pt",
        "input=t.csv",
    ):
        assert text in out


def test_classes_with_their_training_samples(ptrun: Call, folder: Path):
    assert ptrun("train", "dataset=wine", "train.epochs=1", "-q").code == 0
    Path("m.pt").write_bytes((newest_run(folder) / "checkpoints" / "best.pt").read_bytes())
    out = ptrun("show", "m.pt").out
    assert "3 classes: class_0 (41), class_1 (50), class_2 (33); in brackets: training samples" in out
    assert "The file lies outside of its run folder" in out


def test_as_json(table: Path, ptrun: Call):
    found = json.loads(ptrun("show", "outputs/latest", "--json").out)
    assert found["data"]["targets"] == ["income"]
    assert found["run"]["folder"] == str(table)


def test_a_configuration_is_shown_as_before_also_as_json(ptrun: Call):
    assert json.loads(ptrun("show", "checkpoint=none", "--json").out)["checkpoint"]["name"] == "none"


def test_a_checkpoint_is_shown_alone(ptrun: Call):
    ended = ptrun("show", "checkpoint=a/b.pt", "model=convnet")
    assert ended.code == 2
    assert "a checkpoint is shown alone" in ended.err
    assert ptrun("show", "checkpoint=a/b.pt").code == 4
