"""The files of an evaluation hold what was predicted."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.data.dataset import Data, SampleGroups
from ptrun.evaluation import results
from ptrun.metrics.predictions import Predictions
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries

CLASSES = DataSpec(
    layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(1, 4, 4), num_outputs=2, class_names=("no", "yes")
)
NUMBERS = DataSpec(
    layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(2,), num_outputs=1, target_names=("y",),
    target_mean=(100.0,), target_std=(10.0,),
)  # fmt: skip


@dataclass
class Samples:
    """A split whose images have sizes of their own."""

    targets: Tensor
    sizes: tuple[tuple[int, int], ...] = ((4, 4),)

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> Tensor:
        height, width = self.sizes[index % len(self.sizes)]
        return torch.full((1, height, width), index, dtype=torch.uint8)

    def name(self, index: int) -> str:
        return f"sample {index}"

    def fingerprint(self) -> str:
        return ""


@dataclass
class Batches:
    """As far as writing results looks at a loader."""

    split: Samples


def classes(targets: list[int], values: list[int]) -> Predictions:
    probabilities = np.array([[0.25, 0.75] if value else [0.75, 0.25] for value in values])
    return Predictions(CLASSES, np.array(targets), np.array(values), probabilities)


def write(folder: Path, predicted: Predictions, samples: Samples, metrics: dict[str, Any]) -> dict[str, Any]:
    data = Data(train=samples, val=samples, test=samples, spec=predicted.spec)  # type: ignore[arg-type]
    return results.write(folder, "test", metrics, predicted, 0.5, data, Batches(samples))  # type: ignore[arg-type]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_classes_and_their_probabilities_are_listed(tmp_path: Path):
    samples = Samples(torch.tensor([0, 1, 1, 1]))
    document = write(tmp_path / "test", classes([0, 1, 1, 1], [0, 1, 1, 0]), samples, {"accuracy": {}, "f1_macro": {}})
    assert json.loads((tmp_path / "test" / "metrics.json").read_text()) == document
    assert document["metrics"]["accuracy"] == 0.75
    assert document["confusion_matrix"] == [[1, 0], [1, 2]]
    assert document["baselines"] == {"most frequent class": {"accuracy": 0.75}}
    assert rows(tmp_path / "test")[3] == {
        "sample": "sample 3", "target": "yes", "predicted": "no", "correct": "0", "confidence": "0.75",
        "prob_no": "0.75", "prob_yes": "0.25",
    }  # fmt: skip


@pytest.mark.parametrize("offset", [0.0, 100.0, 48_000_000_000.0, 1e15])
def test_numbers_have_every_digit_that_the_metric_used(tmp_path: Path, offset: float):
    generator = np.random.default_rng(0)
    targets, values = offset + generator.normal(size=(20, 1)), offset + generator.normal(size=(20, 1))
    document = write(tmp_path, Predictions(NUMBERS, targets, values), Samples(torch.zeros(20, 1)), {"rmse": {}})
    written = np.array([[float(row["target_y"]), float(row["predicted_y"])] for row in rows(tmp_path)])
    assert np.array_equal(written, np.concatenate([targets, values], axis=1))
    error = float(np.sqrt(np.mean((written[:, 0] - written[:, 1]) ** 2)))
    assert error == pytest.approx(document["metrics"]["rmse"], rel=1e-12)


def test_numbers_are_written_as_short_as_they_are_exact(tmp_path: Path):
    targets, values = np.array([[100.1], [-0.0]]), np.array([[100.25], [1e-9]])
    write(tmp_path, Predictions(NUMBERS, targets, values), Samples(torch.zeros(2, 1)), {"rmse": {}})
    assert [list(row.values()) for row in rows(tmp_path)] == [
        ["sample 0", "100.1", "100.25"],
        ["sample 1", "0.0", "1e-09"],
    ]
    assert not (tmp_path / "samples.npz").exists()


def test_sample_images_are_mistakes_first_and_never_more_than_25(tmp_path: Path):
    count = 200
    targets, values = [0] * count, [int(index in (70, 150)) for index in range(count)]
    write(tmp_path, classes(targets, values), Samples(torch.tensor(targets)), {})
    with np.load(tmp_path / "samples.npz") as arrays:
        assert arrays["images"].shape == (25, 1, 4, 4)
        assert arrays["images"][:2, 0, 0, 0].tolist() == [70, 150]
        assert (arrays["targets"] != arrays["predicted"]).sum() == 2
        assert len(set(arrays["images"][:, 0, 0, 0].tolist())) == 25


@pytest.mark.parametrize("sizes", [((10, 20), (30, 5)), ((300, 300),)])
def test_images_of_several_or_large_sizes_become_thumbnails(tmp_path: Path, sizes: tuple[tuple[int, int], ...]):
    targets = [0, 1, 0]
    write(tmp_path, classes(targets, targets), Samples(torch.tensor(targets), sizes), {})
    with np.load(tmp_path / "samples.npz") as arrays:
        assert arrays["images"].shape == (3, 1, 128, 128)
        assert arrays["images"][1, 0, 64, 64] == 1
        assert (arrays["images"][1, 0, 64, 0] == 255) == (len(sizes) == 2)  # beside a narrow one


def test_results_of_each_group(tmp_path: Path):
    samples = Samples(torch.tensor([0, 1, 1, 1]))
    groups = SampleGroups("site", ("a", "b", "c"), {"test": np.array([2, 0, 2, 0])})
    data = Data(train=samples, val=samples, test=samples, spec=CLASSES, groups=groups)  # type: ignore[arg-type]
    metrics: dict[str, Any] = {"accuracy": {}, "roc_auc": {}}
    predicted = classes([0, 1, 1, 1], [0, 1, 0, 1])
    document = results.write(tmp_path, "test", metrics, predicted, 0.5, data, Batches(samples))  # type: ignore[arg-type]
    assert document["per_group"] == {
        "column": "site",
        "groups": {
            "a": {"num_samples": 2, "metrics": {"accuracy": 1.0, "roc_auc": None}},
            "c": {"num_samples": 2, "metrics": {"accuracy": 0.5, "roc_auc": 0.5}},
        },
    }
