from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as reference
import torch

from ptrun.config.schema import require
from ptrun.errors import ConfigError, DataError
from ptrun.metrics.compute import better, compute, default_metrics, primary_metric
from ptrun.metrics.predictions import Predictions, confusion, per_class, predictions
from ptrun.registry import metrics
from ptrun.spec import DataSpec, Layout, Task

NUMBERS = ("mae", "mse", "rmse", "r2", "mape", "scaled_mae", "scaled_mse")


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


def some(count: int, size: int = 200) -> Predictions:
    generator = torch.Generator().manual_seed(count)
    targets = torch.randint(0, count, (size,), generator=generator)
    outputs = torch.randn(size, count, generator=generator)
    outputs[torch.arange(size), targets] += 1
    return predictions(classes(count), outputs, targets)


def forced(targets: list[int], values: list[int], count: int) -> Predictions:
    """Predictions of these classes, with all the probability on them."""
    return predictions(classes(count), 20 * torch.eye(count)[values], torch.tensor(targets))


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
    p = predictions(classes(40), torch.zeros(80, 40), torch.arange(80) % 40)
    assert value("top_k", p, k=1) == value("accuracy", p) == 1 / 40
    assert value("top_k", p, k=8) == 8 / 40
    ranked = [value("top_k", predictions(classes(40), torch.zeros(1, 40), torch.tensor([c])), k=3) for c in range(40)]
    assert ranked == [1.0, 1.0, 1.0] + [0.0] * 37


@pytest.mark.parametrize("count", [1, 3])
def test_regression_equals_sklearn(count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(50, count, generator=generator)
    outputs = targets + 0.3 * torch.randn(50, count, generator=generator)
    p = predictions(numbers(count, (10.0, 20.0, 5.0)[:count], (2.0, 3.0, 0.5)[:count]), outputs, targets)
    values, reasons = compute(NUMBERS, p)
    assert not reasons
    pair = (p.targets, p.values)
    expected = {
        "mae": reference.mean_absolute_error(*pair),
        "mse": reference.mean_squared_error(*pair),
        "rmse": reference.root_mean_squared_error(*pair),
        "r2": reference.r2_score(*pair),
        "mape": reference.mean_absolute_percentage_error(*pair),
        "scaled_mae": float((outputs.double() - targets.double()).abs().mean()),
        "scaled_mse": float((outputs.double() - targets.double()).square().mean()),
    }
    assert values == pytest.approx(expected, rel=1e-12)


def test_numbers_are_in_the_original_units() -> None:
    p = predictions(numbers(2, (10.0, -5.0), (2.0, 0.5)), torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, -2.0]]))
    assert p.values.tolist() == [[12.0, -4.0]]
    assert p.targets.tolist() == [[10.0, -6.0]]
    assert p.targets.dtype == p.values.dtype == np.float64


def test_probabilities_are_softmax_in_double_precision() -> None:
    outputs = torch.tensor([[1.0, 2.0, 3.0], [0.0, -800.0, 5.0]])
    p = predictions(classes(3), outputs.bfloat16(), torch.tensor([0, 1]))
    assert p.probabilities is not None
    assert p.probabilities == pytest.approx(torch.softmax(outputs.double(), 1).numpy(), rel=1e-12)
    assert p.values.tolist() == [2, 2]


def test_sigmoid_outputs_are_scaled_to_sum_to_one() -> None:
    outputs = torch.tensor([[1.0, -2.0, 0.5], [-900.0, -901.0, -950.0]])
    p = predictions(classes(3), outputs, torch.tensor([0, 1]), one_vs_rest=True)
    assert p.probabilities is not None
    sigmoid = torch.sigmoid(outputs[0].double())
    assert p.probabilities[0] == pytest.approx((sigmoid / sigmoid.sum()).numpy(), rel=1e-12)
    assert p.probabilities.sum(1) == pytest.approx([1.0, 1.0])
    two = predictions(classes(2), outputs[:, :2], torch.tensor([0, 1]), one_vs_rest=True)
    assert two.probabilities is not None
    assert two.probabilities[0, 1] == pytest.approx(torch.sigmoid(torch.tensor(-3.0)).item())


def test_confusion_and_the_report_of_each_class() -> None:
    p = forced([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0], 4)
    table = confusion(p)
    assert table.tolist() == reference.confusion_matrix(p.targets, p.values, labels=range(4)).tolist()
    assert per_class(p) == {
        "a": {"precision": 0.5, "recall": pytest.approx(2 / 3), "f1": pytest.approx(4 / 7), "support": 3},
        "b": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        "c": {"precision": None, "recall": 0.0, "f1": 0.0, "support": 1},
        "d": {"precision": None, "recall": None, "f1": None, "support": 0},
    }


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


def test_reasons_for_undefined_values() -> None:
    one_class = forced([1, 1], [1, 0], 2)
    assert reason("roc_auc", one_class) == "all samples are of one class, b"
    assert reason("top_k", one_class) == "k is 5, but there are only 2 classes"
    constant = predictions(numbers(2), torch.zeros(3, 2), torch.tensor([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]))
    assert reason("r2", constant) == "y does not vary over the 3 samples"
    near_zero = predictions(numbers(1), torch.ones(3, 1), torch.tensor([[1.0], [0.0], [1e-9]]))
    assert reason("mape", near_zero) == "2 of 3 targets are zero or nearly so, and it divides by them"
    assert reason("mape", predictions(numbers(1), torch.ones(2, 1), torch.zeros(2, 1))).startswith("2 of 2 targets")
    assert reason("mae", one_class) == "it is for regression, and the data ask for classification"


@pytest.mark.parametrize("name", sorted(metrics))
def test_no_metric_hides_broken_outputs_or_empty_data(name: str) -> None:
    spec = numbers(3) if name in NUMBERS else classes(3)
    targets = torch.ones(4, 3) if name in NUMBERS else torch.tensor([0, 1, 2, 0])
    outputs = torch.ones(4, 3)
    outputs[1, 2] = float("nan")
    assert reason(name, predictions(spec, outputs, targets)) == "1 of 4 outputs are not finite numbers"
    assert reason(name, predictions(spec, outputs[:0], targets[:0])) == "there are no samples"


def test_a_plugin_metric_says_its_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    def bias(p: Predictions) -> float:
        return float((p.values - p.targets).mean())

    monkeypatch.setattr(metrics, "_functions", dict(metrics._functions))
    metrics.register(bias)
    p = predictions(numbers(1), torch.ones(2, 1), torch.zeros(2, 1))
    assert compute(["bias"], p) == ({"bias": 1.0}, {})
    with pytest.raises(ConfigError, match=r'Add `bias\.better = "higher"`'):
        better("bias")
    bias.better = "lower"  # type: ignore[attr-defined]
    assert better("bias") == "lower"


def test_directions_and_defaults() -> None:
    assert [better(name) for name in ("accuracy", "log_loss", "rmse", "r2", "loss")] == [
        "higher",
        "lower",
        "lower",
        "higher",
        "lower",
    ]
    for task, p in ((Task.CLASSIFICATION, some(3)), (Task.REGRESSION, predictions(numbers(1), *torch.rand(2, 9, 1)))):
        names = default_metrics(task)
        assert primary_metric(task) in names
        assert compute(names, p)[0].keys() == set(names)


@pytest.mark.parametrize("name", sorted(metrics))
def test_yaml_tells_task_and_direction_as_the_code_does(name: str) -> None:
    facts = require("metric", name).facts
    assert facts["better"] == (better(name),)
    assert facts["task"] == ("regression" if name in NUMBERS else "classification",)


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match=r"There is no metric 'acuracy'\. Did you mean 'accuracy'"):
        compute(["acuracy"], some(2))
    with pytest.raises(ConfigError, match=r"metric\.n: metric 'top_k' has no such setting.*It has: k\."):
        compute(["top_k"], some(2), {"top_k": {"n": 3}})
    with pytest.raises(DataError, match=r"outputs \[samples, 3\] and targets \['samples'\]; got \[4, 2\] and \[4\]"):
        predictions(classes(3), torch.zeros(4, 2), torch.zeros(4).long())
    with pytest.raises(DataError, match=r"got \[4, 1\] and \[4\]"):
        predictions(numbers(1), torch.zeros(4, 1), torch.zeros(4))


def test_quick_metrics_do_not_import_sklearn() -> None:
    program = (
        "import sys, torch; from ptrun import catalog; from ptrun.metrics.compute import compute; from ptrun.metrics.predictions import predictions;"
        "from ptrun.spec import *;"
        "s = DataSpec(layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(1,), num_outputs=2, class_names=('a', 'b'));"
        "print(compute(['accuracy', 'top_k'], predictions(s, torch.eye(2), torch.arange(2))), 'sklearn' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("({'accuracy': 1.0}")
    assert shown.strip().endswith("False")
