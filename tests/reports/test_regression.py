"""Pictures of predicted numbers: forecasts over time, other numbers over their true values."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support import assert_picture, has_color

from ptrun.reports.evaluation import draw_evaluation
from ptrun.reports.regression import read_predictions


def write_numbers(folder: Path, samples: Sequence[str], names: Sequence[str], horizon: int) -> None:
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", *(f"{kind}_{name}" for name in names for kind in ("target", "predicted"))])
        for i, sample in enumerate(samples):
            writer.writerow([sample, *([math.sin(i / 20), math.sin(i / 20) + 0.1 * (-1) ** i] * len(names))])
    document = {
        "split": "test",
        "num_samples": len(samples),
        "task": "regression",
        "metrics": {"rmse": 0.1},
        "baselines": {"last value": {"rmse": 0.3}},
        "target_names": list(names),
        "horizon": horizon,
    }
    (folder / "metrics.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("samples", "names", "horizon"),
    [
        (["row 1"], ["t"], 1),
        ([f"rows {i} to {i + 6}" for i in range(2000)], [f"t+{i}" for i in range(7)], 7),
        ([f"2020-01-{i:02}" for i in range(1, 32)] * 3, ["a", "b", "c", "$d$", "e"], 1),
        (["same"] * 70, ["t"], 1),
    ],
)
def test_a_forecast_is_drawn_against_the_truth(
    tmp_path: Path, samples: list[str], names: list[str], horizon: int
) -> None:
    write_numbers(tmp_path, samples, names, horizon)
    (path,) = draw_evaluation(tmp_path, tmp_path / "plots")
    assert path.name == "forecast.png"
    picture = assert_picture(path)
    assert has_color(picture, "#E69F00")
    assert picture.height <= 120 * 13  # four panels at most


@pytest.mark.parametrize(("count", "targets"), [(1, 1), (80, 1), (3000, 6)])
def test_other_numbers_are_drawn_over_their_true_values(tmp_path: Path, count: int, targets: int) -> None:
    write_numbers(tmp_path, [f"row {i}" for i in range(count)], [f"y{i}" for i in range(targets)], 0)
    (path,) = draw_evaluation(tmp_path, tmp_path / "plots")
    assert path.name == "predicted_vs_true.png"
    assert_picture(path)


def test_a_cell_that_is_no_number_is_nan(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("sample,target_y,predicted_y,target_z\na,1,2.5,3\nb,,x,3\nc,4\n")
    predictions = read_predictions(tmp_path / "predictions.csv")
    assert (predictions.samples, predictions.names) == (["a", "b", "c"], ["y"])
    np.testing.assert_array_equal(predictions.true[:, 0], [1, np.nan, 4])
    np.testing.assert_array_equal(predictions.predicted[:, 0], [2.5, np.nan, np.nan])
