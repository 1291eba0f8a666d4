"""`ptrun eval` needs the checkpoint and the data, nothing else, and treats new data as training treated its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import Ended, newest_evaluation, newest_run

Call = Callable[..., Ended]


def test_the_file_alone_is_enough(folder: Path, ptrun: Call):
    assert ptrun("train", "model=convnet", "train.epochs=2", "-q").code == 0
    run_dir = newest_run(folder)
    want = json.loads((run_dir / "test" / "metrics.json").read_text())
    alone = folder / "elsewhere" / "model.pt"
    alone.parent.mkdir()
    alone.write_bytes((run_dir / "checkpoints" / "best.pt").read_bytes())
    import shutil

    shutil.rmtree(run_dir)
    ended = ptrun("eval", f"checkpoint={alone}")
    assert ended.code == 0, ended.err
    assert "accuracy" in ended.out
    out = newest_evaluation(folder)
    assert json.loads((out / "metrics.json").read_text()) == want
    assert {p.name for p in out.iterdir()} >= {
        "metrics.json",
        "predictions.csv",
        "samples.npz",
        "receipt.json",
        "plots",
    }
    assert (out / "plots" / "confusion_matrix.png").is_file()


@pytest.mark.parametrize(("split", "count"), [("train", 1259), ("val", 179)])
def test_any_split(ptrun: Call, folder: Path, split: str, count: int):
    ptrun("train", "train.epochs=1", "-q")
    assert ptrun("eval", "checkpoint=outputs/latest", f"split={split}").code == 0
    assert json.loads((newest_evaluation(folder) / "metrics.json").read_text())["num_samples"] == count
    assert ptrun("eval", "checkpoint=outputs/latest").code == 0, "the first evaluation took the place of the run"


def test_other_data_are_scaled_and_coded_as_in_training(ptrun: Call, folder: Path):
    rows = [f"{i % 7},{'red' if i % 2 else 'blue'},{i % 7 + (i % 2) * 3}" for i in range(80)]
    (folder / "a.csv").write_text("x,colour,y\n" + "\n".join(rows) + "\n")
    # Other values of x (another mean), and a colour that training never saw.
    (folder / "b.csv").write_text(
        "x,colour,y\n" + "\n".join(f"{i % 3},{'red' if i % 4 else 'green'},{i % 3}" for i in range(60)) + "\n"
    )
    assert (
        ptrun(
            "train",
            "dataset=table",
            "dataset.path=a.csv",
            "dataset.target=y",
            "dataset.task=regression",
            "train.epochs=60",
            "optimizer.lr=0.01",
            "-q",
        ).code
        == 0
    )
    run_dir = newest_run(folder)
    ended = ptrun("eval", f"checkpoint={run_dir}", "dataset.path=b.csv")
    assert ended.code == 0, ended.err
    assert "All of the new data are evaluated" in ended.out
    assert json.loads((newest_evaluation(folder) / "metrics.json").read_text())["num_samples"] == 60
    import csv

    with (newest_evaluation(folder) / "predictions.csv").open() as file:
        predicted = {round(float(row["target_y"])): float(row["predicted_y"]) for row in csv.DictReader(file)}
    # x and 3 more for red: were b scaled by its own mean and spread, x = 0..2 would look like 1.2 .. 4.8
    for x in (0, 1, 2):
        assert abs(predicted[x] - x) < 0.9 or abs(predicted[x] - x - 3) < 0.9


def test_the_data_of_the_training_are_not_called_new(ptrun: Call, folder: Path):
    (folder / "a.csv").write_text("x,y\n" + "\n".join(f"{i % 7},{i % 2}" for i in range(60)) + "\n")
    assert ptrun("train", "dataset=table", "dataset.path=a.csv", "dataset.target=y", "train.epochs=1", "-q").code == 0
    again = ptrun("eval", "checkpoint=outputs/latest", f"dataset.path={folder / 'a.csv'}")
    assert "so training samples are among them" in again.out
    assert "new data" not in again.out


def test_rows_that_were_given_count_for_other_data_too(ptrun: Call, folder: Path):
    for name in ("a", "b"):
        rows = [f"2020-01-{1 + i // 24:02} {i % 24:02}:00,{i % 7}" for i in range(200)]
        (folder / f"{name}.csv").write_text("date,x\n" + "\n".join(rows) + "\n")
    parts = ["dataset.train_rows=[0,100]", "dataset.val_rows=[100,130]", "dataset.test_rows=[130,160]"]
    settings = ["model=nlinear", "dataset=series", "dataset.path=a.csv", "dataset.window=10", "train.epochs=1"]
    assert ptrun("train", *settings, *parts, "-q").code == 0
    run_dir = newest_run(folder)
    ended = ptrun("eval", f"checkpoint={run_dir}", "dataset.path=b.csv")
    assert "Rows 130 to 160 of the new data are evaluated, as dataset.test_rows says." in ended.out
    assert json.loads((newest_evaluation(folder) / "metrics.json").read_text())["num_samples"] == 30
    none = [f"dataset.{part}_rows=null" for part in ("train", "val", "test")]
    ended = ptrun("eval", f"checkpoint={run_dir}", "dataset.path=b.csv", *none)
    assert "All of the new data are evaluated" in ended.out
    assert json.loads((newest_evaluation(folder) / "metrics.json").read_text())["num_samples"] == 190


def test_new_data_without_the_column_of_the_split(ptrun: Call, folder: Path):
    lines = [f"p{i // 4},{i * i},{'yn'[i // 4 % 2]}" for i in range(80)]
    Path("a.csv").write_text("\n".join(["patient,size,y", *lines]))
    Path("b.csv").write_text("\n".join(["size,y", *(line.partition(",")[2] for line in lines[:30])]))
    settings = ("dataset=table", "dataset.path=a.csv", "dataset.target=y", "split.group=patient", "split.folds=4")
    assert ptrun("train", *settings, "split.fold=2", "train.epochs=1", "-q").code == 0
    tested = json.loads((newest_run(folder) / "test" / "metrics.json").read_text())
    assert ptrun("eval", "outputs/latest", "plots=false").code == 0
    assert json.loads((newest_evaluation(folder) / "metrics.json").read_text())["metrics"] == tested["metrics"]
    ended = ptrun("eval", "outputs/latest", "dataset.path=b.csv", "plots=false")
    assert ended.code == 0, ended.err
    assert "split.test_fraction=0.2 takes a part" in ended.out
    assert json.loads((newest_evaluation(folder) / "metrics.json").read_text())["num_samples"] == 30
    refused = ptrun("eval", "outputs/latest", "dataset.path=b.csv", "dataset.test_fraction=0.2", "plots=false")
    assert refused.code == 3
    assert "split.group: " in refused.err


def test_data_of_another_kind_are_refused(ptrun: Call, folder: Path):
    ptrun("train", "train.epochs=1", "-q")
    ended = ptrun("eval", "checkpoint=outputs/latest", "dataset=iris")
    assert ended.code in (2, 3)
    assert "Traceback" not in ended.err
    assert ended.err.startswith("error: ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model.dropout=0", "can't be changed here"),
        ("dataset.val_fractoin=0.2", "Did you mean 'split.val_fraction'?"),
        ("metrics=[nope]", "there is no metric 'nope'"),
        ("split=tset", "split: expected train or val or test"),
    ],
)
def test_changes_are_checked(ptrun: Call, folder: Path, change: str, words: str):
    ptrun("train", "train.epochs=1", "-q")
    ended = ptrun("eval", "checkpoint=outputs/latest", change)
    assert ended.code == 2
    assert words in ended.err


def test_metrics_can_be_chosen(ptrun: Call, folder: Path):
    ptrun("train", "train.epochs=1", "-q")
    ended = ptrun("eval", "checkpoint=outputs/latest", "metrics=[top_k,f1_weighted]")
    assert ended.code == 0
    assert set(json.loads((newest_evaluation(folder) / "metrics.json").read_text())["metrics"]) == {
        "top_k",
        "f1_weighted",
    }


def test_a_test_file_of_training_is_not_taken_for_new_data(ptrun: Call, folder: Path):
    rng = np.random.default_rng(0)
    for name, count in (("train", 60), ("test", 20), ("new", 33)):
        rows = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b in rng.normal(size=(count, 2))]
        (folder / f"{name}.csv").write_text("a,b,label\n" + "\n".join(rows) + "\n")
    settings = ["dataset=table", "dataset.path=train.csv", "dataset.test_path=test.csv", "dataset.target=label"]
    assert ptrun("train", *settings, "train.epochs=1", "-q").code == 0
    run_dir = newest_run(folder)
    ended = ptrun("eval", f"checkpoint={run_dir}", "dataset.path=new.csv")
    assert ended.code == 0, ended.err
    assert "All of the new data are evaluated" in ended.out
    assert json.loads((newest_evaluation(folder) / "metrics.json").read_text())["num_samples"] == 33


def test_a_test_part_that_new_data_come_with_is_named(ptrun: Call, folder: Path):
    rng = np.random.default_rng(0)
    for name, counts in (("a", (40, 10)), ("b", (30, 7))):
        arrays = {
            f"{kind}_{part}": rng.integers(0, 255, (count, 6, 6), dtype=np.uint8)
            if kind == "x"
            else np.arange(count) % 2
            for part, count in zip(("train", "test"), counts, strict=True)
            for kind in ("x", "y")
        }
        np.savez(folder / f"{name}.npz", **arrays)
    assert ptrun("train", "dataset=arrays", "dataset.path=a.npz", "model=simplenet", "train.epochs=1", "-q").code == 0
    ended = ptrun("eval", f"checkpoint={newest_run(folder)}", "dataset.path=b.npz")
    assert ended.code == 0, ended.err
    assert "The test part that the new data come with is evaluated." in ended.out
    assert json.loads((newest_evaluation(folder) / "metrics.json").read_text())["num_samples"] == 7
    (folder / "sweep").mkdir()
    (folder / "sweep" / "multirun.yaml").write_text("{}")
    newest_run(folder).rename(folder / "sweep" / "0")
    ended = ptrun("eval", "checkpoint=sweep", "dataset.path=b.npz", "split.test_fraction=1.0")
    assert "The best of the 1 runs of this sweep." in ended.out, "another note does not take its place"
    assert "The test part that the new data come with is evaluated." in ended.out
