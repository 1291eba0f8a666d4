"""The run folder is a receipt, the console says what matters, and signals leave a checkpoint behind."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from support import ROOT, Ended, newest_run

import ptrun as package
from ptrun.checkpoint import store
from ptrun.data.loading import file_check

Call = Callable[..., Ended]


def test_the_run_folder_holds_what_it_promises(folder: Path, ptrun: Call):
    ended = ptrun("train", "model=simplenet", "train.epochs=2", "label=first try", "plots=true")
    assert ended.code == 0
    run_dir = newest_run(folder)
    assert run_dir.parent.parent == folder / "outputs"
    assert "first_try-simplenet-digits" in run_dir.name
    names = {str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()}
    assert names >= {
        "config.yaml", "resolved.yaml", "receipt.json", "status.json", "splits.json", "train.log", "metrics.jsonl",
        "metrics.csv", "summary.json", "checkpoints/best.pt", "checkpoints/last.pt", "test/metrics.json",
        "test/predictions.csv", "test/samples.npz", "plots/loss.png", "plots/metrics.png", "plots/learning_rate.png",
        "plots/confusion_matrix.png", "plots/per_class.png", "plots/sample_predictions.png",
    }  # fmt: skip
    assert not [name for name in names if "=" in name or ".tmp-" in name]
    asked, resolved = (yaml.safe_load((run_dir / name).read_text()) for name in ("config.yaml", "resolved.yaml"))
    assert asked["loss"]["name"] == "auto"
    assert resolved["loss"]["name"] == "cross_entropy"
    assert resolved["train"]["monitor"] == "val/loss"
    receipt = json.loads((run_dir / "receipt.json").read_text())
    assert receipt["command"] == "ptrun train model=simplenet train.epochs=2 'label=first try' plots=true"
    assert receipt["packages"]["torch"]
    assert set(receipt["data"]) == {"train", "val", "test"}
    assert {"setting": "loss", "requested": "auto", "used": "cross_entropy"} in receipt["decisions"]
    assert json.loads((run_dir / "status.json").read_text())["state"] == "done"
    splits = json.loads((run_dir / "splits.json").read_text())
    assert "stratified" in json.dumps(splits)


@pytest.mark.slow
def test_without_pictures(folder: Path, ptrun: Call):
    """`ptrun eval` draws them for a run that has none, and has a switch of its own; a resumed run may choose anew."""
    ended = ptrun("train", "model=simplenet", "train.epochs=1", "plots=false")
    run_dir = newest_run(folder)
    assert (ended.code, "plots" in ended.out, (run_dir / "plots").exists()) == (0, False, False)
    assert ptrun("verify", str(run_dir)).code == 0
    assert ptrun("eval", f"checkpoint={run_dir}", "plots=false", "output_dir=without").code == 0
    assert ptrun("eval", f"checkpoint={run_dir}", "output_dir=with").code == 0
    drawn = {path.relative_to(folder).parts[0] for path in folder.rglob("confusion_matrix.png")}
    assert drawn == {"with"}
    assert ptrun("resume", str(run_dir), "train.epochs=2", "plots=true").code == 0
    assert (run_dir / "plots" / "loss.png").is_file()


def test_metrics_files_agree(folder: Path, ptrun: Call):
    ptrun("train", "train.epochs=3", "-q")
    run_dir = newest_run(folder)
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    with (run_dir / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [line["epoch"] for line in lines] == [1, 2, 3] == [int(row["epoch"]) for row in rows]
    assert [float(row["val/loss"]) for row in rows] == [line["val/loss"] for line in lines]
    assert [line["step"] for line in lines] == [40, 80, 120]
    summary = json.loads((run_dir / "summary.json").read_text())
    assert summary["best_value"] == min(line["val/loss"] for line in lines)


def test_predictions_agree_with_the_metrics(folder: Path, ptrun: Call):
    ptrun("train", "train.epochs=2", "-q")
    test = newest_run(folder) / "test"
    document = json.loads((test / "metrics.json").read_text())
    with (test / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == document["num_samples"] == sum(map(sum, document["confusion_matrix"]))
    assert sum(row["target"] == row["predicted"] for row in rows) / len(rows) == pytest.approx(
        document["metrics"]["accuracy"]
    )
    for row in rows[:20]:
        assert float(row["confidence"]) == max(float(value) for key, value in row.items() if key.startswith("prob_"))


def start(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "ptrun", "train", "train.epochs=100000", *overrides],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=folder,
    )


def wait_for_epoch(process: subprocess.Popen[str], epoch: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith(f"{epoch}/"):
            return
    raise AssertionError(process.stderr.read() if process.stderr else "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_saves_and_ends_with_75(folder: Path, name: str):
    process = start(folder)
    wait_for_epoch(process, 2)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert f"Stopped by {name}" in err
    assert "Traceback" not in err
    run_dir = newest_run(folder)
    assert json.loads((run_dir / "status.json").read_text())["state"] == "interrupted"
    saved = store.load(run_dir / "checkpoints" / "last.pt")
    assert saved["progress"]["epoch"] >= 2


@pytest.mark.slow
def test_after_a_kill_the_newest_checkpoint_evaluates(folder: Path, ptrun: Call):
    process = start(folder, "checkpoint.keep_best=2")  # each epoch is written, also in the first second
    wait_for_epoch(process, 3)
    process.kill()
    process.communicate(timeout=60)
    ended = ptrun("eval", "checkpoint=outputs/latest/checkpoints/last.pt")
    assert ended.code == 0
    assert "accuracy" in ended.out


def test_from_python(folder: Path):
    result = package.train("model=convnet", "train.epochs=1", quiet=True)
    assert result.run_dir.is_dir()
    assert result.value == result.summary["best_value"]
    assert result.summary["test"]["accuracy"] > 0.5


@pytest.mark.slow
def test_own_components_by_plugin(folder: Path, process: Call):
    (folder / "mine.py").write_text(
        "from torch import nn\nfrom ptrun.registry import losses, models\n\n"
        "@losses.register\ndef cubic(outputs, targets, *, power: float = 3.0):\n"
        "    return (outputs - targets).abs().pow(power).mean()\n\n"
        "@models.register\ndef tiny(spec, *, width: int = 4):\n"
        "    layers = nn.Linear(spec.num_features, width), nn.Linear(width, spec.num_outputs)\n"
        "    return nn.Sequential(nn.Flatten(), *layers)\n"
    )
    ended = process(
        "train",
        "plugins=[mine.py]",
        "model=tiny",
        "model.width=8",
        "loss=cubic",
        "loss.power=2",
        "dataset=diabetes",
        "train.epochs=1",
        "-q",
    )
    assert ended.code == 0, ended.err
    resolved = yaml.safe_load((newest_run(folder) / "resolved.yaml").read_text())
    assert resolved["model"] == {"name": "tiny", "width": 8}
    assert resolved["loss"] == {"name": "cubic", "power": 2}
    assert process("eval", "checkpoint=outputs/latest", "plugins=[mine.py]").code == 0
    newest = max((folder / "outputs").rglob("best.pt"), key=lambda path: path.stat().st_mtime)
    without = process("eval", f"checkpoint={newest}")
    assert without.code == 2
    assert (
        "model: 'tiny' of the checkpoint is no component of ptrun. If it is yours, name its file: plugins=[FILE.py]."
        in without.err
    )
    ended = process("train", "plugins=[mine.py]", "loss=cubic", "transform.train=[mixup]")
    assert ended.code == 2
    assert "share of several classes as its target, which 'cubic' can't take. Use cross_entropy" in ended.err
    ended = process("train", "plugins=[mine.py]", "model=tiny", "model.widht=8")
    assert ended.code == 2
    assert "Did you mean 'model.width'?" in ended.err


def test_a_plugin_with_a_mistake_names_file_and_line(folder: Path, ptrun: Call):
    (folder / "bad.py").write_text("x = 1\nx.nope\n")
    ended = ptrun("train", "plugins=[bad.py]")
    assert ended.code == 2
    assert "bad.py, line 2: AttributeError" in ended.err
    (folder / "taken.py").write_text(
        "from ptrun.registry import models\n@models.register\ndef convnet(spec):\n    pass\n"
    )
    ended = ptrun("train", "plugins=[taken.py]")
    assert ended.code == 2
    assert "registered twice" in ended.err


def test_ones_own_conf_folder_wins_and_is_told(folder: Path, ptrun: Call):
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "model" / "wide.yaml").write_text("name: simplenet\nhidden_features: [300]\n")
    (folder / "conf" / "model" / "simplenet.yaml").write_text("name: simplenet\nhidden_features: [7]\n")
    assert "[300]" in ptrun("show", "model=wide").out
    ended = ptrun("train", "model=simplenet", "train.epochs=1")
    assert "conf/model/simplenet.yaml replaces the shipped file" in ended.out
    assert "[7]" in ptrun("show", "model=simplenet").out
    assert ptrun("train", "dataset=iris", "train.epochs=1", "-q").code == 0  # the model is chosen, and is the user's
    assert yaml.safe_load((newest_run(folder) / "resolved.yaml").read_text())["model"]["hidden_features"] == [7]
    (folder / "other" / "model").mkdir(parents=True)
    (folder / "other" / "model" / "simplenet.yaml").write_text("name: simplenet\nhidden_features: [9]\n")
    assert "[9]" in ptrun("show", "model=simplenet", "--config-dir", "other").out
    (folder / "conf" / "experiment").mkdir()
    (folder / "conf" / "experiment" / "lost.yaml").write_text("optimizer:\n  lr: 0.5\n")
    ended = ptrun("train", "experiment=lost")
    assert ended.code == 2
    assert "lacks the line `# @package _global_`" in ended.err


def test_bad_images_are_left_out_when_asked_and_listed(folder: Path, ptrun: Call):
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / "photos" / "train" / label).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / "train" / label / f"{number}.png")
    shutil.copytree(folder / "photos" / "train", folder / "photos" / "test")
    bad = folder / "photos" / "train" / "cat" / "0.png"
    bad.write_bytes(b"<html>")
    call = (
        "train",
        "dataset=image_folder",
        "dataset.root=photos",
        "model=simplenet",
        "transform=normalize",
        "train.epochs=1",
        "train.num_workers=0",
        "split.seed=1",
    )
    stopped = ptrun(*call)
    assert stopped.code == 3
    assert "cat/0.png is a web page" in stopped.err
    ended = ptrun(*call, "dataset.on_bad_sample=skip")
    assert ended.code == 0, ended.err
    assert "1 of 18 training samples could not be read and were left out" in " ".join(ended.out.split())
    listed = json.loads((newest_run(folder) / "bad_samples.json").read_text())
    assert [Path(name).parts[-2:] for name in listed] == [("cat", "0.png")]
    assert json.loads((newest_run(folder) / "summary.json").read_text())["bad_samples"] == 1
    assert ptrun(*call, "dataset.on_bad_sample=skip", "dataset.cache=ram").code == 2


@pytest.mark.slow
def test_a_run_whose_transform_was_chosen_can_be_continued(folder: Path, ptrun: Call):
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / label / f"{number}.png")
    call = ("dataset=image_folder", "dataset.root=photos", "model=simplenet", "train.num_workers=0")
    assert ptrun("train", *call, "train.epochs=1", "-q").code == 0
    again = ptrun("resume", "outputs/latest", "train.epochs=2")
    assert again.code == 0, again.err
    assert "Continues from" in again.out


def test_a_test_that_fails_leaves_the_results_of_the_training(
    folder: Path, ptrun: Call, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        for label in ("cat", "dog"):
            (folder / "photos" / part / label).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / part / label / f"{number}.jpg")
    bad = folder / "photos" / "test" / "dog" / "2.jpg"
    good = bad.read_bytes()
    bad.write_bytes(good[:200] + good[-2:])
    monkeypatch.setattr(file_check, "MAX_DECODED_FILES", 0)  # so that damage within a file is not found first
    call = ("dataset=image_folder", "dataset.root=photos", "model=simplenet", "transform=normalize")
    ended = ptrun("train", *call, "train.epochs=2", "train.num_workers=0")
    run = newest_run(folder)
    assert ended.code == 3
    assert "dog/2.jpg" in ended.err
    assert "those on the test split are missing. When that is corrected, test it with: ptrun resume" in ended.err
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["epochs"], summary["test"], "dog/2.jpg" in summary["test_error"]) == (2, {}, True)
    assert json.loads((run / "status.json").read_text())["state"] == "failed"
    bad.write_bytes(good)
    ended = ptrun("resume", str(run))
    assert ended.code == 0, ended.err
    summary = json.loads((run / "summary.json").read_text())
    assert "test_error" not in summary
    assert summary["test"]["loss"] is not None
