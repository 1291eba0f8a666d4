"""Predictions that were written are read back as they were, those of several evaluations as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ptrun.evaluation.stored_predictions import read_predictions, together

NUMBERS = {"layout": "vector", "task": "regression", "class_names": [], "target_names": ["y"], "horizon": 0}
CLASSES = {**NUMBERS, "task": "classification", "class_names": ["no", "yes"], "target_names": []}


def write(folder: Path, document: dict[str, object], *lines: str) -> Path:
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(document))
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_classes(tmp_path: Path) -> None:
    header = "sample,target,predicted,correct,confidence,prob_no,prob_yes"
    first = write(tmp_path / "a", CLASSES, header, "row 1,no,yes,0,0.75,0.25,0.75")
    second = write(tmp_path / "b", CLASSES, header, '"row 2, b",yes,yes,1,1,0,1')
    predicted = together([read_predictions(first), read_predictions(second)])
    assert (predicted.targets.tolist(), predicted.values.tolist()) == ([0, 1], [1, 1])
    assert predicted.probabilities is not None
    assert predicted.probabilities.tolist() == [[0.25, 0.75], [0, 1]]
    assert read_predictions(second).rows[0][0] == "row 2, b"


def test_numbers(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", NUMBERS, "sample,target_y,predicted_y", "row 1,0.1,1e-09")
    predicted = together([read_predictions(folder)] * 2)
    assert (predicted.targets.tolist(), predicted.values.tolist()) == ([[0.1]] * 2, [[1e-9]] * 2)


def test_evaluations_of_other_data_are_not_put_together(tmp_path: Path) -> None:
    first = write(tmp_path / "a", NUMBERS, "sample,target_y,predicted_y", "row 1,0.1,0.2")
    second = write(tmp_path / "b", NUMBERS, "sample,target_z,predicted_z", "row 1,0.1,0.2")
    with pytest.raises(ValueError, match="different columns"):
        together([read_predictions(first), read_predictions(second)])
