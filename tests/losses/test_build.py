from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.config.schema import require
from ptrun.errors import ConfigError, DataError
from ptrun.losses.build import build_loss, default_loss, require_shares
from ptrun.registry import losses
from ptrun.spec import DataSpec, Layout, Task


def spec(num_outputs: int = 3, task: Task = Task.CLASSIFICATION) -> DataSpec:
    names = tuple("abcdefgh"[:num_outputs])
    kind = {"class_names": names} if task is Task.CLASSIFICATION else {"target_names": names}
    return DataSpec(layout=Layout.VECTOR, task=task, input_shape=(4,), num_outputs=num_outputs, **kind)


NUMBERS = spec(2, Task.REGRESSION)


def batch(classes: int = 3, size: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(size, classes, generator=generator)
    return outputs, torch.randint(0, classes, (size,), generator=generator)


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


def test_cross_entropy_equals_torch_bit_for_bit() -> None:
    outputs, targets = batch()
    mine, torchs = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    loss, reference = build_loss("cross_entropy", {}, spec())(mine, targets), F.cross_entropy(torchs, targets)
    loss.backward()
    reference.backward()
    assert torch.equal(loss, reference)
    assert torch.equal(mine.grad, torchs.grad)


def test_label_smoothing_and_given_weights_equal_torch() -> None:
    outputs, targets = batch()
    loss = build_loss("cross_entropy", {"label_smoothing": 0.1, "class_weights": [1.0, 2.0, 0.5]}, spec())
    weight = torch.tensor([1.0, 2.0, 0.5])
    expected = F.cross_entropy(outputs, targets, weight=weight, label_smoothing=0.1, reduction="none").mean()
    assert torch.equal(loss(outputs, targets), expected)
    # torch divides by the weights of the batch: equal where the batch is all of the data
    counts = torch.bincount(targets, minlength=3)
    scaled = build_loss("cross_entropy", {"class_weights": [1.0, 2.0, 0.5]}, spec(), counts)
    torch.testing.assert_close(scaled(outputs, targets), F.cross_entropy(outputs, targets, weight=weight))


def test_balanced_weights_equal_those_of_sklearn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = [0] * 10 + [1] * 3 + [2] * 1
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    loss = build_loss("cross_entropy", {"class_weights": "balanced"}, spec(), torch.tensor([10, 3, 1]))
    assert isinstance(loss, nn.Module)
    assert loss.weights.tolist() == pytest.approx(expected.tolist())


def test_weights_move_with_the_loss() -> None:
    loss = build_loss("cross_entropy", {"class_weights": [1.0, 2.0, 3.0]}, spec())
    assert isinstance(loss, nn.Module)
    assert loss.to("meta").weights.device.type == "meta"


def test_weights_work_in_other_precisions() -> None:
    outputs, targets = batch()
    loss = build_loss("cross_entropy", {"class_weights": [1.0, 2.0, 3.0]}, spec())
    assert loss(outputs.double(), targets).dtype == torch.float64


def test_binary_cross_entropy_of_two_classes_is_the_single_logit_loss() -> None:
    outputs, targets = batch(2)
    loss = build_loss("binary_cross_entropy", {}, spec(2))(outputs, targets)
    single = F.binary_cross_entropy_with_logits(outputs[:, 1] - outputs[:, 0], targets.float())
    assert torch.equal(loss, single)
    assert loss.item() == pytest.approx(F.cross_entropy(outputs, targets).item(), rel=1e-5)


def test_binary_cross_entropy_of_more_classes_is_one_against_the_rest() -> None:
    outputs, targets = batch(3)
    loss = build_loss("binary_cross_entropy", {"label_smoothing": 0.3}, spec(3))(outputs, targets)
    truth = torch.full((16, 3), 0.3 / 3)  # as in timm: off = smoothing / classes, on = 1 - smoothing + off
    truth[torch.arange(16), targets] = 1 - 0.3 + 0.3 / 3
    assert loss.item() == pytest.approx(F.binary_cross_entropy_with_logits(outputs, truth).item(), rel=1e-6)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("classes", [2, 3])
def test_shares_of_classes_are_targets_too(name: str, classes: int) -> None:
    outputs, targets = batch(classes)
    loss = build_loss(name, {"label_smoothing": 0.1}, spec(classes))
    hard = F.one_hot(targets, classes).float()
    torch.testing.assert_close(loss(outputs, hard), loss(outputs, targets))
    other = hard.flip(0)
    half = loss(outputs, hard / 2 + other / 2)
    torch.testing.assert_close(half, loss(outputs, hard) / 2 + loss(outputs, other) / 2)


def test_a_loss_that_takes_no_shares_is_refused() -> None:
    require_shares("cross_entropy", spec())
    with pytest.raises(ConfigError, match=r"which 'focal' can't take. Use cross_entropy, binary_cross_entropy"):
        require_shares("focal", spec())


@pytest.mark.parametrize(
    ("classes", "setting", "counts", "weight"),
    [
        (2, "balanced", [30, 10], 3.0),
        (2, 4.0, None, 4.0),
        (3, "balanced", [10, 20, 10], [3.0, 1.0, 3.0]),
        (3, [1.0, 2.0, 3.0], None, [1.0, 2.0, 3.0]),
    ],
)
def test_positive_weights(classes: int, setting: object, counts: list[int] | None, weight: object) -> None:
    outputs, targets = batch(classes)
    counted = None if counts is None else torch.tensor(counts)
    loss = build_loss("binary_cross_entropy", {"pos_weight": setting}, spec(classes), counted)(outputs, targets)
    logits = outputs[:, 1] - outputs[:, 0] if classes == 2 else outputs
    truth = targets.float() if classes == 2 else F.one_hot(targets, classes).float()
    expected = F.binary_cross_entropy_with_logits(logits, truth, pos_weight=torch.tensor(weight))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "reference"),
    [
        ("mse", {}, F.mse_loss),
        ("l1", {}, F.l1_loss),
        ("huber", {"delta": 0.5}, lambda o, t: F.huber_loss(o, t, delta=0.5)),
        ("smooth_l1", {"beta": 0.5}, lambda o, t: F.smooth_l1_loss(o, t, beta=0.5)),
    ],
)
def test_losses_for_numbers_equal_torch(name: str, settings: dict[str, float], reference: object) -> None:
    outputs, targets = torch.randn(8, 2), torch.randn(8, 2)
    assert torch.equal(build_loss(name, settings, NUMBERS)(outputs, targets), reference(outputs, targets))  # type: ignore[operator]


@pytest.mark.parametrize("name", ["mse", "l1", "huber", "smooth_l1"])
def test_shapes_are_never_broadcast(name: str) -> None:
    with pytest.raises(DataError, match=r"outputs have shape \[4, 1\] and the targets \[4\]"):
        build_loss(name, {}, NUMBERS)(torch.zeros(4, 1), torch.zeros(4))
    with pytest.raises(DataError, match="equal shapes"):
        losses.get(name)(torch.zeros(4, 1), torch.zeros(4))


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("targets", [torch.zeros(4, 1).long(), torch.zeros(3).long()])
def test_class_targets_of_a_wrong_shape_are_refused(name: str, targets: Tensor) -> None:
    with pytest.raises(DataError, match=r"targets \[batch\]"):
        build_loss(name, {}, spec())(torch.zeros(4, 3), targets)


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


def test_a_perfect_answer_costs_nothing() -> None:
    outputs = torch.tensor([[40.0, -40.0], [-40.0, 40.0]])
    for name in ("cross_entropy", "binary_cross_entropy"):
        assert math.isclose(build_loss(name, {}, spec(2))(outputs, torch.tensor([0, 1])).item(), 0.0, abs_tol=1e-12)
