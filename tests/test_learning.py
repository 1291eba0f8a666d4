"""The recipes reach their target on the test split, as a mean over three seeds."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

import pytest
import torch

import ptrun
from ptrun.checkpoint import store

pytestmark = pytest.mark.slow

TARGETS = [
    ("digits_simplenet", "accuracy", 0.96),
    ("digits_convnet", "accuracy", 0.98),
    ("digits_regularized", "accuracy", 0.965),
    ("digits_attention", "accuracy", 0.95),
    ("digits_transformer", "accuracy", 0.96),
    ("breast_cancer", "accuracy", 0.95),
    ("diabetes", "r2", 0.40),
    ("series_lstm", "rmse", -2.21),  # of a ridge regression on the last 30 days; negative, because lower is better
    ("series_transformer", "rmse", -2.21),
]


@pytest.mark.parametrize(("experiment", "metric", "target"), TARGETS, ids=[name for name, _, _ in TARGETS])
def test_a_recipe_reaches_its_target(folder: Path, experiment: str, metric: str, target: float):
    sign = -1 if target < 0 else 1
    results = [ptrun.train(f"experiment={experiment}", f"seed={seed}", quiet=True) for seed in (0, 1, 2)]
    mean = statistics.mean(result.summary["test"][metric] for result in results)
    assert sign * mean >= target, f"{metric} {mean:.4f}"


def test_the_default_run_reaches_97_percent(folder: Path):
    assert ptrun.train(quiet=True).summary["test"]["accuracy"] >= 0.97


# Recipes for data that are not in the package: name, training file, test file, lowest mean test accuracy.
EXTERNAL = [
    ("gunpoint", "gunpoint/GunPoint_TRAIN.ts", "gunpoint/GunPoint_TEST.ts", 0.98),
    ("adult", "adult/adult-train.csv", "adult/adult-test.csv", 0.86),
]


@pytest.mark.parametrize(("experiment", "train", "test", "target"), EXTERNAL, ids=[name for name, *_ in EXTERNAL])
def test_a_recipe_for_external_files_reaches_its_target(
    folder: Path, experiment: str, train: str, test: str, target: float
):
    shared = Path(os.environ.get("PTRUN_SHARED_DATA", ""))
    if not (shared / train).is_file() or not (shared / test).is_file():
        pytest.skip(f"{experiment} is not below PTRUN_SHARED_DATA")
    files = [f"dataset.path={shared / train}", f"dataset.test_path={shared / test}"]
    results = [ptrun.train(f"experiment={experiment}", *files, f"seed={seed}", quiet=True) for seed in (0, 1, 2)]
    assert statistics.mean(result.summary["test"]["accuracy"] for result in results) >= target


def test_transfer_from_a_weights_file_to_photos(folder: Path):
    shared = os.environ.get("PTRUN_SHARED_DATA")
    photos, weights = (Path(shared or "") / name for name in ("dogcat", "weights/mobilenet_v2_from_tflite_ptq.pth"))
    if not shared or not photos.is_dir() or not weights.is_file():
        pytest.skip("dogcat and weights are not below PTRUN_SHARED_DATA")
    torch.set_num_threads(2)
    result = ptrun.train("experiment=dogcat_transfer", f"dataset.root={photos}", f"model.weights={weights}", quiet=True)
    torch.set_num_threads(1)
    assert result.summary["test"]["accuracy"] >= 0.95
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    trained = store.load(result.run_dir / "checkpoints" / "last.pt")["model"]
    frozen = {name.removeprefix("backbone."): value for name, value in trained.items() if name.startswith("backbone.")}
    common = [name for name in frozen if name in stored and frozen[name].dtype == torch.float32]
    assert len(common) > 200
    assert all(torch.equal(frozen[name], stored[name].float()) for name in common)


def test_two_epochs_of_a_linear_forecast_of_transformer_temperatures(folder: Path):
    path = Path(os.environ.get("PTRUN_SHARED_DATA", "")) / "ett" / "ETTh1.csv"
    if not path.is_file():
        pytest.skip("ett is not below PTRUN_SHARED_DATA")
    result = ptrun.train("experiment=etth1_dlinear", f"dataset.path={path}", "train.epochs=2", quiet=True)
    document = json.loads((result.run_dir / "test" / "metrics.json").read_text())
    assert document["num_samples"] == 14400 - 11520 - 96 + 1  # all windows, the last batch too
    assert document["metrics"]["scaled_mse"] < 0.40
    assert document["metrics"]["scaled_mse"] == pytest.approx(document["loss"], rel=1e-5)
