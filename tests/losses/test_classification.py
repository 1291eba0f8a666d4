"""Cross-entropies equal those of torch, with weights, smoothing and probabilities as targets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptrun import catalog
from ptrun.errors import DataError
from ptrun.losses.build import build_loss
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries


def spec(num_outputs: int = 3, task: Task = Task.CLASSIFICATION) -> DataSpec:
    names = tuple("abcdefgh"[:num_outputs])
    kind = {"class_names": names} if task is Task.CLASSIFICATION else {"target_names": names}
    return DataSpec(layout=Layout.VECTOR, task=task, input_shape=(4,), num_outputs=num_outputs, **kind)


def batch(classes: int = 3, size: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(size, classes, generator=generator)
    return outputs, torch.randint(0, classes, (size,), generator=generator)


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


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("targets", [torch.zeros(4, 1).long(), torch.zeros(3).long()])
def test_class_targets_of_a_wrong_shape_are_refused(name: str, targets: Tensor) -> None:
    with pytest.raises(DataError, match=r"targets \[batch\]"):
        build_loss(name, {}, spec())(torch.zeros(4, 3), targets)


def test_a_perfect_answer_costs_nothing() -> None:
    outputs = torch.tensor([[40.0, -40.0], [-40.0, 40.0]])
    for name in ("cross_entropy", "binary_cross_entropy"):
        assert math.isclose(build_loss(name, {}, spec(2))(outputs, torch.tensor([0, 1])).item(), 0.0, abs_tol=1e-12)
