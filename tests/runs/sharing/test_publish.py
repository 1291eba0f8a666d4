"""`ptrun publish`: a smaller file that predicts the same, a card, and an untouched run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import Ended, newest_evaluation, newest_run, train

Call = Callable[..., Ended]


@pytest.fixture
def run_dir(folder: Path) -> Path:
    settings = ("dataset=wine", "model=simplenet", "train.ema_decay=0.5", "split.seed=3")
    train(*settings, "train.epochs=3", quiet=True)
    return newest_run(folder)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_file_gives_the_results_of_the_run_which_stays_as_it_was(run_dir: Path, ptrun: Call, folder: Path):
    before = digests(run_dir)
    ended = ptrun("publish", "checkpoint=outputs/latest", "given/model.pt")
    assert ended.code == 0, ended.err
    assert digests(run_dir) == before
    source = torch.load(run_dir / "checkpoints" / "best.pt", weights_only=True)
    content = torch.load("given/model.pt", weights_only=True)
    assert content["model"].keys() == source["model"].keys()
    for name, tensor in content["model"].items():
        assert torch.equal(tensor, source["ema"][f"module.{name}"])  # the weights that are evaluated
    assert not {"optimizer", "random", "schedule", "return_to"} & content.keys()

    assert ptrun("eval", "given/model.pt", "-q").code == 0
    assert (newest_evaluation(folder) / "metrics.json").read_text() == (run_dir / "test" / "metrics.json").read_text()
    assert ptrun("verify", "given/model.pt").code == 0
    shown = json.loads(ptrun("show", "given/model.pt", "--json").out)
    assert shown["published"]
    assert shown["test"] == json.loads((run_dir / "test" / "metrics.json").read_text())
    started = ptrun("train", "dataset=wine", "model=simplenet", "weights=given/model.pt", "train.max_steps=1")
    assert "4 of 4 tensors loaded from given/model.pt\n" in started.out


def test_a_folder_gets_a_checkpoint_and_a_card(run_dir: Path, ptrun: Call):
    assert ptrun("publish", str(run_dir), "given").code == 0
    assert {path.name for path in Path("given").iterdir()} == {"model.pt", "README.md"}


def test_nothing_is_overwritten_unless_it_is_asked_for(run_dir: Path, ptrun: Call):
    Path("model.md").write_text("mine")
    ended = ptrun("publish", str(run_dir), "model.pt")
    assert ended.code == 2
    assert "model.md exists already. Choose another name, or add overwrite=true" in ended.err
    assert Path("model.md").read_text() == "mine"
    assert not Path("model.pt").exists()
    assert ptrun("publish", str(run_dir), "model.pt", "overwrite=true").code == 0
    assert "simplenet" in Path("model.md").read_text()


@pytest.mark.parametrize("to", ["checkpoints/best.pt", "new.pt", "test"])
def test_the_folder_of_the_run_is_refused(to: str, run_dir: Path, ptrun: Call):
    before = digests(run_dir)
    ended = ptrun("publish", str(run_dir), str(run_dir / to), "overwrite=true")
    assert ended.code == 2
    assert "is in the folder of the run" in ended.err
    assert digests(run_dir) == before


def test_the_file_itself_is_refused(run_dir: Path, ptrun: Call):
    Path("m.pt").write_bytes((run_dir / "checkpoints" / "best.pt").read_bytes())
    assert "is the checkpoint itself" in ptrun("publish", "m.pt", "m.pt", "overwrite=true").err
    ended = ptrun("publish", "m.pt", "n.pt")
    assert "no test results, because the checkpoint lies outside of its run folder" in ended.out


def test_secrets_and_local_settings_stay_at_home(ptrun: Call, folder: Path):
    assert ptrun("train", "dataset=wine", "train.epochs=1", "label=secret_plan", "output_dir=mine", "-q").code == 0
    assert ptrun("publish", "mine/latest", "m.pt").code == 0
    config = torch.load("m.pt", weights_only=True)["config"]
    assert (config["label"], config["output_dir"], config["weights"]) == (None, "outputs", None)


def test_nothing_published_names_a_folder(ptrun: Call, folder: Path):
    rows = [f"{i % 7},{'yes' if i % 3 else 'no'}" for i in range(80)]
    (folder / "mine.csv").write_text("x,y\n" + "\n".join(rows) + "\n")
    data = ("dataset=table", f"dataset.path={folder / 'mine.csv'}", "dataset.target=y")
    assert ptrun("train", *data, "train.epochs=1", "-q").code == 0
    assert ptrun("publish", "outputs/latest", "m.pt").code == 0
    card = Path("m.md").read_text(encoding="utf-8")
    assert "dataset.path=mine.csv" in card
    assert str(folder) not in card
    content = torch.load("m.pt", weights_only=True)
    assert content["config"]["dataset"]["path"] == "mine.csv"
    assert str(folder) not in str({key: value for key, value in content.items() if key != "model"})
