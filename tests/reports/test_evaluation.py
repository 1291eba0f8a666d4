"""The files in the folder of an evaluation decide which pictures it gets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ptrun.reports.evaluation import draw_evaluation

CLASSES = {
    "split": "test", "num_samples": 4, "task": "classification", "horizon": 0, "class_names": ["no", "yes"],
    "confusion_matrix": [[2, 0], [1, 1]],
    "per_class": {str(i): {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2} for i in range(2)},
}  # fmt: skip


def drawn(folder: Path) -> list[str]:
    paths = draw_evaluation(folder, folder / "plots")
    assert sorted(path.name for path in (folder / "plots").glob("*")) == sorted(path.name for path in paths)
    return [path.name for path in paths]


def test_without_results_nothing_is_drawn(tmp_path: Path) -> None:
    assert drawn(tmp_path) == []
    (tmp_path / "metrics.json").write_text(json.dumps({"task": "regression", "horizon": 0}))
    assert drawn(tmp_path) == []
    (tmp_path / "predictions.csv").write_text("sample,target_y,predicted_y\n")
    assert drawn(tmp_path) == []


def test_classes_get_their_pictures_and_those_of_samples_where_there_are_images(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(CLASSES))
    assert drawn(tmp_path) == ["confusion_matrix.png", "per_class.png"]
    targets = np.array([0, 1])
    np.savez(tmp_path / "samples.npz", images=np.zeros((2, 1, 8, 8), np.uint8), targets=targets, predicted=targets)
    assert drawn(tmp_path) == ["confusion_matrix.png", "per_class.png", "sample_predictions.png"]


def test_numbers_get_a_forecast_where_there_is_a_horizon(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("sample,target_y,predicted_y\nrow 1,1,2\nrow 2,2,2\n")
    (tmp_path / "metrics.json").write_text(json.dumps({"task": "regression", "horizon": 1}))
    assert drawn(tmp_path) == ["forecast.png"]
    (tmp_path / "plots" / "forecast.png").unlink()
    (tmp_path / "metrics.json").write_text(json.dumps({"task": "regression", "horizon": 0}))
    assert drawn(tmp_path) == ["predicted_vs_true.png"]
