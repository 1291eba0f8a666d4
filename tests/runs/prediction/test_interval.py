"""`ptrun predict interval=0.9` covers nine of ten values that nothing in the training has seen."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import ROOT, Ended, newest_run

from ptrun.checkpoint import store

Call = Callable[..., Ended]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_interval_of_a_forecast(ptrun: Call, folder: Path):
    assert ptrun("train", "dataset=series", "dataset.horizon=2", "model=nlinear", "train.epochs=2", "-q").code == 0
    series = ROOT / "ptrun" / "data" / "melbourne_temperatures.csv"
    words = ("predict", "outputs/latest", str(series), "interval=0.9")
    ended = ptrun(*words, "output=p.csv")
    assert ended.code == 0, ended.err
    assert "validation windows; it is no guarantee" in ended.out
    assert ptrun(*words, "output=r.csv", "rolling=true").code == 0
    rows, rolled = read(folder / "p.csv"), read(folder / "r.csv")
    name = next(key.removeprefix("low_") for key in rows[0] if key.startswith("low_"))
    assert [float(rows[0][f"{side}_{name}"]) for side in ("low", "high")] == pytest.approx(
        [float(rolled[-1][f"{side}_{name} +1"]) for side in ("low", "high")]
    )
    values = [float(row[name]) for row in read(series)]
    tested = rolled[-700:-1]  # windows of the test part, which neither training nor validation has seen
    inside = [
        float(row[f"low_{name} +1"]) <= value <= float(row[f"high_{name} +1"])
        for row, value in zip(tested, values[-len(tested) :], strict=True)
    ]
    assert 0.85 < np.mean(inside) < 0.95
    assert ptrun("publish", "outputs/latest", "model.pt").code == 0
    assert ptrun("predict", "model.pt", str(series), "interval=0.9", "output=q.csv").code == 0
    assert (folder / "q.csv").read_bytes() == (folder / "p.csv").read_bytes()
    for change, message in (
        ("interval=0.85", "it can be 0.5, 0.6"),
        ("what=logits", "only the values of a forecast have one"),
        ("checkpoint=[outputs/latest,outputs/latest]", "the average of several models has none"),
    ):
        first = [word for word in words[1:] if "checkpoint" not in change or word != "outputs/latest"]
        refused = ptrun("predict", *first, change, "output=s.csv")
        assert refused.code == 2
        assert message in " ".join(refused.err.split())
    best = newest_run(folder) / "checkpoints" / "best.pt"
    older = {key: value for key, value in store.load(best).items() if key != "interval"}
    store.write(folder / "older.pt", older)
    ended = ptrun("predict", "older.pt", str(series), "interval=0.9", "output=t.csv")
    assert ended.code == 0
    assert "There is no interval: the checkpoint has no errors of a validation" in " ".join(ended.out.split())
    assert "low_" not in (folder / "t.csv").read_text()


def test_classes_have_no_interval(ptrun: Call, folder: Path):
    assert ptrun("train", "model=simplenet", "train.max_steps=1", "-q").code == 0
    np.save(folder / "x.npy", np.zeros((2, 8, 8), np.uint8))
    refused = ptrun("predict", "outputs/latest", "x.npy", "interval=0.9")
    assert refused.code == 2
    assert "only the values of a forecast have one; this model was trained on digits" in " ".join(refused.err.split())
