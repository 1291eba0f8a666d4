"""One sentence on a run: against the baseline, and whether it trained enough or too long."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import Ended, newest_run

from ptrun.evaluation.verdict import verdict


def classes(accuracy: float, baseline: float = 0.5, samples: int = 400) -> dict[str, Any]:
    return {
        "task": "classification",
        "num_samples": samples,
        "metrics": {"f1_macro": 0.1, "accuracy": accuracy},
        "baselines": {"most frequent class": {"accuracy": baseline}},
    }


def numbers(rmse: float, **baselines: float) -> dict[str, Any]:
    found = {name: {"rmse": value, "r2": 0.0} for name, value in baselines.items()}
    return {"task": "regression", "num_samples": 50, "metrics": {"rmse": rmse}, "baselines": found}


def epochs(train: Sequence[float], val: Sequence[float | None]) -> list[dict[str, Any]]:
    pairs = enumerate(zip(train, val, strict=True), start=1)
    return [
        {"epoch": number, "train/loss": loss, **({} if other is None else {"val/loss": other})}
        for number, (loss, other) in pairs
    ]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (classes(0.9), "Better than the best simple baseline (accuracy 90.00 %, most frequent class 50.00 %)."),
        (classes(0.54), "Not clearly better than the best simple baseline (accuracy"),  # 400 samples: within 0.05
        (classes(0.54, samples=40_000), "Better than"),
        (classes(0.3), "Worse than"),
        (numbers(3.0, mean=5.0, last=4.0), "Better than the best simple baseline (rmse 3.0000, last 4.0000)."),
        (numbers(4.5, mean=5.0, last=4.0), "Worse than"),
        (numbers(4.03, mean=5.0, last=4.0), "Not clearly better than"),
    ],
)
def test_against_the_strongest_baseline(document: dict[str, Any], words: str):
    assert verdict(document, [], "val/loss", higher_is_better=False).startswith(words)


@pytest.mark.parametrize(
    ("train", "val", "words"),
    [
        ([5, 4, 3, 2], [5, 4, 3.5, 3], "Still improving at the last epoch, so more epochs may help."),
        ([5, 3, 2, 1], [5, 3, 3.5, 4], "Overfitting from epoch 3: the validation loss rose from 3.0000 to 4.0000"),
        ([5, 3, 2, 1], [5, 3, 3.1, 3.1], ""),  # no rise to speak of
        ([5, 3, 3.5, 4], [5, 3, 3.5, 4], ""),  # both losses rise: no overfitting
        ([5, 4], [5, 4], ""),  # too few
        ([5, 4, 3, 2, 1], [5, None, 4, None, 3], "Still improving"),
        ([5, 4, 3, 2], [math.nan, math.nan, math.nan, math.nan], ""),
    ],
)
def test_the_course_of_the_training(train: list[float], val: list[float | None], words: str):
    document = {"task": "regression", "num_samples": 9, "metrics": {"rmse": 1.0}, "baselines": {}}
    found = verdict(document, epochs(train, val), "val/loss", higher_is_better=False)
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_a_saturated_metric_is_not_improving():
    records = [{**record, "val/accuracy": 1.0} for record in epochs([3, 2, 1], [3, 2, 1])]
    document = {**classes(1.0), "baselines": {}}
    assert verdict(document, records, "val/accuracy", higher_is_better=True) == ""


def test_a_run_ends_with_its_verdict(folder: Path, ptrun: Callable[..., Ended]):
    ended = ptrun("train", "dataset=iris", "model=simplenet", "train.epochs=5", "optimizer.lr=0.01")
    found = json.loads((newest_run(folder) / "summary.json").read_text())["verdict"]
    assert found.startswith(("Better than", "Not clearly better than"))
    assert f"  verdict  {found}\n" in ended.out
