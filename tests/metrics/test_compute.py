"""Which metrics there are, their defaults and directions, and when a metric has no value."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from ptrun import catalog
from ptrun.config.schema import require
from ptrun.errors import ConfigError, DataError
from ptrun.metrics.compute import better, compute, default_metrics, primary_metric
from ptrun.metrics.predictions import Predictions, to_predictions
from ptrun.registry import metrics
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries


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
    return to_predictions(classes(count), outputs, targets)


def forced(targets: list[int], values: list[int], count: int) -> Predictions:
    """Predictions of these classes, with all the probability on them."""
    return to_predictions(classes(count), 20 * torch.eye(count)[values], torch.tensor(targets))


def reason(name: str, p: Predictions, **settings: int) -> str:
    values, reasons = compute([name], p, {name: settings})
    assert not values
    return reasons[name]


def test_reasons_for_undefined_values() -> None:
    one_class = forced([1, 1], [1, 0], 2)
    assert reason("roc_auc", one_class) == "all samples are of one class, b"
    assert reason("top_k", one_class) == "k is 5, but there are only 2 classes"
    constant = to_predictions(numbers(2), torch.zeros(3, 2), torch.tensor([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]))
    assert reason("r2", constant) == "y does not vary over the 3 samples"
    near_zero = to_predictions(numbers(1), torch.ones(3, 1), torch.tensor([[1.0], [0.0], [1e-9]]))
    assert reason("mape", near_zero) == "2 of 3 targets are zero or nearly so, and it divides by them"
    assert reason("mape", to_predictions(numbers(1), torch.ones(2, 1), torch.zeros(2, 1))).startswith("2 of 2 targets")
    assert reason("mae", one_class) == "it is for regression, and the data ask for classification"


@pytest.mark.parametrize("name", sorted(metrics))
def test_no_metric_hides_broken_outputs_or_empty_data(name: str) -> None:
    spec = numbers(3) if name in NUMBERS else classes(3)
    targets = torch.ones(4, 3) if name in NUMBERS else torch.tensor([0, 1, 2, 0])
    outputs = torch.ones(4, 3)
    outputs[1, 2] = float("nan")
    assert reason(name, to_predictions(spec, outputs, targets)) == "1 of 4 outputs are not finite numbers"
    assert reason(name, to_predictions(spec, outputs[:0], targets[:0])) == "there are no samples"


def test_a_plugin_metric_says_its_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    def bias(p: Predictions) -> float:
        return float((p.values - p.targets).mean())

    monkeypatch.setattr(metrics, "_functions", dict(metrics._functions))
    metrics.register(bias)
    p = to_predictions(numbers(1), torch.ones(2, 1), torch.zeros(2, 1))
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
    for task, p in (
        (Task.CLASSIFICATION, some(3)),
        (Task.REGRESSION, to_predictions(numbers(1), *torch.rand(2, 9, 1))),
    ):
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
        to_predictions(classes(3), torch.zeros(4, 2), torch.zeros(4).long())
    with pytest.raises(DataError, match=r"got \[4, 1\] and \[4\]"):
        to_predictions(numbers(1), torch.zeros(4, 1), torch.zeros(4))


@pytest.mark.slow
def test_quick_metrics_do_not_import_sklearn() -> None:
    program = (
        "import sys, torch; from ptrun import catalog; from ptrun.metrics.compute import compute;"
        "from ptrun.metrics.predictions import to_predictions;"
        "from ptrun.spec import *;"
        "s = DataSpec(layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(1,),"
        " num_outputs=2, class_names=('a', 'b'));"
        "predictions = to_predictions(s, torch.eye(2), torch.arange(2));"
        "print(compute(['accuracy', 'top_k'], predictions), 'sklearn' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.startswith("({'accuracy': 1.0}")
    assert output.strip().endswith("False")
