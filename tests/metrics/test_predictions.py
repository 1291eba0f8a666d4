"""Raw outputs become classes with probabilities, or numbers in their original units."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference
import torch

from ptrun.metrics.predictions import Predictions, confusion_matrix, per_class_scores, to_predictions
from ptrun.spec import DataSpec, Layout, Task


def classes(count: int) -> DataSpec:
    return DataSpec(
        layout=Layout.VECTOR,
        task=Task.CLASSIFICATION,
        input_shape=(4,),
        num_outputs=count,
        class_names=tuple("abcdefgh"[:count]),
    )


def numbers(count: int, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()) -> DataSpec:
    return DataSpec(
        layout=Layout.VECTOR,
        task=Task.REGRESSION,
        input_shape=(4,),
        num_outputs=count,
        target_names=tuple("xyz"[:count]),
        target_mean=mean,
        target_std=std,
    )


def forced(targets: list[int], values: list[int], count: int) -> Predictions:
    """Predictions of these classes, with all the probability on them."""
    return to_predictions(classes(count), 20 * torch.eye(count)[values], torch.tensor(targets))


def test_numbers_are_in_the_original_units() -> None:
    p = to_predictions(numbers(2, (10.0, -5.0), (2.0, 0.5)), torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, -2.0]]))
    assert p.values.tolist() == [[12.0, -4.0]]
    assert p.targets.tolist() == [[10.0, -6.0]]
    assert p.targets.dtype == p.values.dtype == np.float64


def test_probabilities_are_softmax_in_double_precision() -> None:
    outputs = torch.tensor([[1.0, 2.0, 3.0], [0.0, -800.0, 5.0]])
    p = to_predictions(classes(3), outputs.bfloat16(), torch.tensor([0, 1]))
    assert p.probabilities is not None
    assert p.probabilities == pytest.approx(torch.softmax(outputs.double(), 1).numpy(), rel=1e-12)
    assert p.values.tolist() == [2, 2]


def test_sigmoid_outputs_are_scaled_to_sum_to_one() -> None:
    outputs = torch.tensor([[1.0, -2.0, 0.5], [-900.0, -901.0, -950.0]])
    p = to_predictions(classes(3), outputs, torch.tensor([0, 1]), one_vs_rest=True)
    assert p.probabilities is not None
    sigmoid = torch.sigmoid(outputs[0].double())
    assert p.probabilities[0] == pytest.approx((sigmoid / sigmoid.sum()).numpy(), rel=1e-12)
    assert p.probabilities.sum(1) == pytest.approx([1.0, 1.0])
    two = to_predictions(classes(2), outputs[:, :2], torch.tensor([0, 1]), one_vs_rest=True)
    assert two.probabilities is not None
    assert two.probabilities[0, 1] == pytest.approx(torch.sigmoid(torch.tensor(-3.0)).item())


def test_confusion_and_the_report_of_each_class() -> None:
    p = forced([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0], 4)
    table = confusion_matrix(p)
    assert table.tolist() == reference.confusion_matrix(p.targets, p.values, labels=range(4)).tolist()
    assert per_class_scores(p) == {
        "a": {"precision": 0.5, "recall": pytest.approx(2 / 3), "f1": pytest.approx(4 / 7), "support": 3},
        "b": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        "c": {"precision": None, "recall": 0.0, "f1": 0.0, "support": 1},
        "d": {"precision": None, "recall": None, "f1": None, "support": 0},
    }
