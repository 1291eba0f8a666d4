"""A sweep over folds ends with the predictions of all of them and the metrics over these."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, newest_run

Call = Callable[..., Ended]
QUICK = ("model=simplenet", "train.max_steps=2", "device.compile=none", "device.threads=1", "checkpoint=none")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_each_sample_is_predicted_by_the_fold_that_tests_it(folder: Path, ptrun: Call):
    ended = ptrun("train", "-m", "dataset=iris", "split.folds=3", "split.fold=0,1,2", *QUICK)
    assert ended.code == 0, ended.err
    sweep = newest_run(folder)
    rows = read(sweep / "out_of_fold.csv")
    assert len({row["sample"] for row in rows}) == len(rows) == 150
    for fold in "012":
        tested = read(sweep / fold / "test" / "predictions.csv")
        assert [{"fold": fold, **row} for row in tested] == [row for row in rows if row["fold"] == fold]
    document = json.loads((sweep / "out_of_fold.json").read_text())
    right = sum(row["target"] == row["predicted"] for row in rows)
    assert document["metrics"]["accuracy"] == pytest.approx(right / 150)
    accuracies = [json.loads((sweep / fold / "summary.json").read_text())["test"]["accuracy"] for fold in "012"]
    assert document["over_folds"]["accuracy"]["mean"] == pytest.approx(sum(accuracies) / 3)
    assert "over all 150 samples of 3 folds" in ended.out
    assert ended.out.index("over all 150 samples") < ended.out.index("\nNext\n"), "what to type next comes last"
    assert "3 of 3" in ended.out  # the folds are summed up as repetitions of one configuration


@pytest.mark.slow
def test_numbers_of_several_configurations(folder: Path, ptrun: Call):
    words = ("dataset=diabetes", "split.folds=3", "optimizer.lr=0.1,0.01", *QUICK)
    first = ptrun("train", "-m", *words, "split.fold=0,1")
    assert first.code == 0, first.err
    assert "need all 3 folds; missing: 2. Sweep over split.fold=0,1,2." in first.out
    ended = ptrun("train", "-m", *words, "split.fold=0,1,2")
    assert ended.code == 0, ended.err
    files = sorted(newest_run(folder).glob("out_of_fold-*.csv"))
    assert len(files) == 2
    for path in files:
        rows = read(path)
        document = json.loads(path.with_suffix(".json").read_text())
        errors = [abs(float(row["target_progression"]) - float(row["predicted_progression"])) for row in rows]
        assert document["num_samples"] == document["num_distinct"] == len(rows) == 442
        assert document["metrics"]["mae"] == pytest.approx(sum(errors) / 442)
        assert document["settings"] in ended.out
