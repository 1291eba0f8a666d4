"""Pictures of a classification, for few and for many classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import assert_picture, has_color

from ptrun.reports.evaluation import draw_evaluation


def write_classes(folder: Path, size: int, names: Sequence[str] | None = None, mistakes: int = 1) -> None:
    matrix = np.eye(size, dtype=int) * 20
    matrix[0, 1] = mistakes
    matrix[-1] = 0  # the last class has no sample
    per_class: dict[str, Any] = {
        str(i): {"precision": 0.9, "recall": i / size, "f1": i / size, "support": 20} for i in range(size - 1)
    }
    per_class[str(size - 1)] = {"precision": None, "recall": None, "f1": None, "support": 0}
    document = {"split": "test", "num_samples": int(matrix.sum()), "task": "classification", "horizon": 0,
                "class_names": list(names or [f"class {i}" for i in range(size)]),
                "confusion_matrix": matrix.tolist(), "per_class": per_class}  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize("size", [2, 20, 100])
def test_classes_get_a_confusion_matrix_and_scores(tmp_path: Path, size: int) -> None:
    write_classes(tmp_path, size)
    matrix, scores = draw_evaluation(tmp_path, tmp_path / "plots")
    assert (matrix.name, scores.name) == ("confusion_matrix.png", "per_class.png")
    assert_picture(matrix)
    assert assert_picture(scores).height < 2400  # the worst 40 only


def test_class_names_may_hold_any_letters(tmp_path: Path) -> None:
    write_classes(tmp_path, 4, ["$x_1$ & {", "日本語", "é" * 80, ""])
    for path in draw_evaluation(tmp_path, tmp_path / "plots"):
        assert_picture(path)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (7, 3, 48, 20), (3, 3, 20, 48), (25, 4, 10, 10)])
def test_sample_images_with_a_mistake_are_framed_red(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_classes(tmp_path, 3)
    targets = np.zeros(shape[0], dtype=np.int64)
    images = np.full(shape, 128, dtype=np.uint8)
    for predicted, red in ((targets, False), (targets + 1, True)):
        confidence = np.full(shape[0], 0.8)
        np.savez(tmp_path / "samples.npz", images=images, targets=targets, predicted=predicted, confidence=confidence)
        written = draw_evaluation(tmp_path, tmp_path / "plots")
        assert written[-1].name == "sample_predictions.png"
        assert has_color(assert_picture(written[-1]), "#C4312F") == red
