"""Baselines are the scores of predictors that learn nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.data.dataset import Data
from ptrun.data.splits import TensorSplit
from ptrun.evaluation.baselines import baselines
from ptrun.metrics.predictions import to_predictions
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries

CLASSES = DataSpec(
    layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(1,), num_outputs=3, class_names=("a", "b", "c")
)
NUMBERS = DataSpec(
    layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(1,), num_outputs=1, target_names=("y",),
    target_mean=(100.0,), target_std=(10.0,),
)  # fmt: skip


def split(targets: Tensor) -> TensorSplit:
    return TensorSplit(torch.zeros(len(targets), 1), targets, torch.arange(len(targets)))


def data(spec: DataSpec, train: Tensor, test: Tensor, **more: object) -> Data:
    return Data(spec=spec, train=split(train), val=split(train), test=split(test), **more)  # type: ignore[arg-type]


def test_the_most_frequent_class_of_the_training_is_predicted():
    train, test = torch.tensor([1, 1, 2]), torch.tensor([1, 2, 0, 2])
    predicted = to_predictions(CLASSES, torch.zeros(4, 3), test)
    metrics: dict[str, dict[str, object]] = {"accuracy": {}, "balanced_accuracy": {}, "f1_macro": {}}
    assert baselines("test", metrics, predicted, data(CLASSES, train, test)) == {
        "most frequent class": {"accuracy": 0.25, "balanced_accuracy": pytest.approx(1 / 3)}
    }


def test_the_mean_of_the_training_is_predicted_in_original_units():
    train, test = torch.tensor([[-1.0], [0.0]]), torch.tensor([[0.5], [1.5]])  # mean 95; 105 and 115
    predicted = to_predictions(NUMBERS, torch.zeros(2, 1), test)
    scores = baselines("test", {"mae": {}}, predicted, data(NUMBERS, train, test))
    assert scores == {"training mean": {"mae": pytest.approx(15.0)}}


def test_forecasts_of_the_data_set_are_compared_on_the_test_split_only():
    train, test = torch.zeros(3, 1), torch.tensor([[0.5], [1.5]])
    forecasts = data(NUMBERS, train, test, baselines=lambda: {"last value": torch.tensor([[0.5], [1.0]])})
    predicted = to_predictions(NUMBERS, torch.zeros(2, 1), test)
    assert baselines("test", {"mae": {}}, predicted, forecasts)["last value"] == {"mae": pytest.approx(2.5)}
    assert list(baselines("val", {"mae": {}}, predicted, forecasts)) == ["training mean"]


def test_without_training_samples_there_is_nothing_to_compare_with():
    """As when all of the data are being evaluated."""
    none, test = torch.zeros(0, dtype=torch.int64), torch.tensor([0, 1])
    assert (
        baselines("test", {"accuracy": {}}, to_predictions(CLASSES, torch.zeros(2, 3), test), data(CLASSES, none, test))
        == {}
    )


def test_the_mean_of_many_targets_is_exact():
    train = torch.full((5000, 1), 0.1)
    test = torch.full((1, 1), 0.1)
    scores = baselines(
        "test", {"mae": {}}, to_predictions(NUMBERS, torch.zeros(1, 1), test), data(NUMBERS, train, test)
    )
    assert scores["training mean"]["mae"] == pytest.approx(0.0, abs=1e-10)
    assert np.isfinite(scores["training mean"]["mae"])
