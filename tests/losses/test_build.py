"""Building a loss: the default, the task, plugins, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.config.schema import require
from ptrun.errors import ConfigError, DataError
from ptrun.losses.build import build_loss, default_loss, loss_notes, require_probability_targets
from ptrun.registry import losses
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries


def spec(num_outputs: int = 3, task: Task = Task.CLASSIFICATION) -> DataSpec:
    names = tuple("abcdefgh"[:num_outputs])
    kind = {"class_names": names} if task is Task.CLASSIFICATION else {"target_names": names}
    return DataSpec(layout=Layout.VECTOR, task=task, input_shape=(4,), num_outputs=num_outputs, **kind)


NUMBERS = spec(2, Task.REGRESSION)


def test_default_loss_follows_the_task() -> None:
    assert default_loss(spec()) == "cross_entropy"
    assert default_loss(NUMBERS) == "mse"


@pytest.mark.parametrize("name", sorted(losses))
def test_yaml_tells_the_task_that_the_code_accepts(name: str) -> None:
    (task,) = require("loss", name).facts["task"]
    assert callable(build_loss(name, {}, spec(2, Task(task))))
    (other,) = set(Task) - {Task(task)}
    with pytest.raises(ConfigError, match=f"'{name}' is for {task}, but the data ask for {other}"):
        build_loss(name, {}, spec(2, other))


def test_a_loss_that_takes_no_shares_is_refused() -> None:
    require_probability_targets("cross_entropy", spec())
    with pytest.raises(ConfigError, match=r"which 'focal' can't take. Use cross_entropy, binary_cross_entropy"):
        require_probability_targets("focal", spec())


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "plugin"])
@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (3, 2), (3, 4)])
def test_another_number_of_outputs_than_classes_is_refused(
    name: str, classes: int, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_functions", dict(losses._functions))

    @losses.register
    def plugin(outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum()

    loss = build_loss(name, {}, spec(classes))
    loss(torch.zeros(4, classes), torch.zeros(4, dtype=torch.long))
    with pytest.raises(ConfigError, match=f"model: {classes} outputs are needed.*the model gives {outputs}"):
        loss(torch.zeros(4, outputs), torch.zeros(4, dtype=torch.long))


def test_what_a_reported_loss_includes_is_noted() -> None:
    assert loss_notes({"label_smoothing": 0.0, "class_weights": None}) == ()
    (note,) = loss_notes({"label_smoothing": 0.3, "class_weights": "balanced"})
    assert "val/loss and the test loss include label smoothing (loss.label_smoothing), class weights" in note
    (note,) = loss_notes({"label_smoothing": 0.0, "pos_weight": [1.0, 2.0]})
    assert "weights of the positive samples (loss.pos_weight)" in note


@pytest.mark.parametrize("name", ["mse", "l1", "huber", "smooth_l1"])
def test_shapes_are_never_broadcast(name: str) -> None:
    with pytest.raises(DataError, match=r"outputs have shape \[4, 1\] and the targets \[4\]"):
        build_loss(name, {}, NUMBERS)(torch.zeros(4, 1), torch.zeros(4))
    with pytest.raises(DataError, match="equal shapes"):
        losses.get(name)(torch.zeros(4, 1), torch.zeros(4))


def test_a_plugin_loss_is_one_function_and_its_shapes_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def cubic(outputs: Tensor, targets: Tensor, *, power: float = 3.0) -> Tensor:
        return (outputs - targets).abs().pow(power).mean()

    monkeypatch.setattr(losses, "_functions", dict(losses._functions))
    losses.register(cubic)
    loss = build_loss("cubic", {"power": 4.0}, NUMBERS)
    assert loss(torch.full((2, 2), 2.0), torch.zeros(2, 2)).item() == 16.0
    with pytest.raises(DataError, match="equal shapes"):
        loss(torch.zeros(4, 1), torch.zeros(4))
    with pytest.raises(ConfigError, match=r"loss\.powr: .*Did you mean 'power'\? It has: power\."):
        build_loss("cubic", {"powr": 4.0}, NUMBERS)


def test_mistakes_are_told() -> None:
    with pytest.raises(
        ConfigError, match=r"'mse' is for regression, but the data ask for classification.*cross_entropy"
    ):
        build_loss("mse", {}, spec())
    with pytest.raises(ConfigError, match="Did you mean 'cross_entropy'"):
        build_loss("crossentropy", {}, spec())
    with pytest.raises(
        ConfigError, match=r"class_weights: expected 'balanced' or a list of 3 numbers.*a, b, c; got \[1.0\]"
    ):
        build_loss("cross_entropy", {"class_weights": [1.0]}, spec())
    with pytest.raises(ConfigError, match="needs the samples per class"):
        build_loss("cross_entropy", {"class_weights": "balanced"}, spec())
    with pytest.raises(DataError, match="no sample of b, c"):
        build_loss("cross_entropy", {"class_weights": "balanced"}, spec(), torch.tensor([5, 0, 0]))
    with pytest.raises(ConfigError, match=r"one number, the weight of class 'b'; got \[1.0, 2.0\]"):
        build_loss("binary_cross_entropy", {"pos_weight": [1.0, 2.0]}, spec(2))
    with pytest.raises(ConfigError, match="is given by the program"):
        build_loss("cross_entropy", {"class_counts": [1]}, spec())
