"""Metrics for classification equal those of scikit-learn; absent classes make them undefined, not wrong."""

from __future__ import annotations

import pytest
import sklearn.metrics as reference
import torch

from ptrun import catalog
from ptrun.metrics.compute import compute
from ptrun.metrics.predictions import Predictions, to_predictions
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries


def classes(count: int) -> DataSpec:
    return DataSpec(
        layout=Layout.VECTOR,
        task=Task.CLASSIFICATION,
        input_shape=(4,),
        num_outputs=count,
        class_names=tuple("abcdefgh"[:count]),
    )


def some(count: int, size: int = 200) -> Predictions:
    generator = torch.Generator().manual_seed(count)
    targets = torch.randint(0, count, (size,), generator=generator)
    outputs = torch.randn(size, count, generator=generator)
    outputs[torch.arange(size), targets] += 1
    return to_predictions(classes(count), outputs, targets)


def forced(targets: list[int], values: list[int], count: int) -> Predictions:
    """Predictions of these classes, with all the probability on them."""
    return to_predictions(classes(count), 20 * torch.eye(count)[values], torch.tensor(targets))


def value(name: str, p: Predictions, **settings: int) -> float:
    values, reasons = compute([name], p, {name: settings})
    assert not reasons
    return values[name]


def reason(name: str, p: Predictions, **settings: int) -> str:
    values, reasons = compute([name], p, {name: settings})
    assert not values
    return reasons[name]


def averaged(function: object, average: str) -> object:
    return lambda p: function(p.targets, p.values, average=average, zero_division=0)  # type: ignore[operator]


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", lambda p: reference.accuracy_score(p.targets, p.values)),
        ("balanced_accuracy", lambda p: reference.balanced_accuracy_score(p.targets, p.values)),
        ("precision_weighted", averaged(reference.precision_score, "weighted")),
        ("recall_weighted", averaged(reference.recall_score, "weighted")),
        ("f1_weighted", averaged(reference.f1_score, "weighted")),
        ("precision_macro", averaged(reference.precision_score, "macro")),
        ("recall_macro", averaged(reference.recall_score, "macro")),
        ("f1_macro", averaged(reference.f1_score, "macro")),
        ("log_loss", lambda p: reference.log_loss(p.targets, p.probabilities)),
        (
            "roc_auc",
            lambda p: (
                reference.roc_auc_score(p.targets, p.probabilities[:, 1])
                if p.probabilities.shape[1] == 2
                else reference.roc_auc_score(p.targets, p.probabilities, multi_class="ovr")
            ),
        ),
    ],
)
def test_classification_equals_sklearn(name: str, expected: object, count: int) -> None:
    p = some(count)
    assert value(name, p) == pytest.approx(expected(p), rel=1e-12)  # type: ignore[operator]


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_top_k_equals_sklearn(k: int) -> None:
    p = some(7)
    expected = reference.top_k_accuracy_score(p.targets, p.probabilities, k=k) if k < 7 else 1.0
    assert value("top_k", p, k=k) == expected


def test_top_k_of_a_constant_model_is_not_flattered() -> None:
    p = to_predictions(classes(40), torch.zeros(80, 40), torch.arange(80) % 40)
    assert value("top_k", p, k=1) == value("accuracy", p) == 1 / 40
    assert value("top_k", p, k=8) == 8 / 40
    ranked = [
        value("top_k", to_predictions(classes(40), torch.zeros(1, 40), torch.tensor([c])), k=3) for c in range(40)
    ]
    assert ranked == [1.0, 1.0, 1.0] + [0.0] * 37


@pytest.mark.parametrize("name", ["balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "roc_auc"])
def test_an_absent_class_is_told(name: str) -> None:
    p = forced([0, 0, 1, 1], [0, 1, 1, 2], 4)
    assert reason(name, p) == "no sample of c, d, so only 2 of 4 classes could be averaged"


def test_weighted_metrics_stay_defined_with_an_absent_class() -> None:
    p = forced([0, 0, 1, 1], [0, 1, 1, 2], 4)
    assert value("precision_weighted", p) == 0.75
    assert value("recall_weighted", p) == value("accuracy", p) == 0.5


def test_a_class_never_predicted_has_precision_zero() -> None:
    assert value("precision_macro", forced([0, 1, 1], [0, 0, 0], 2)) == pytest.approx(1 / 6)
