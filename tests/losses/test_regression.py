"""Losses for regression equal those of torch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ptrun import catalog
from ptrun.losses.build import build_loss
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries


def spec(num_outputs: int = 3, task: Task = Task.CLASSIFICATION) -> DataSpec:
    names = tuple("abcdefgh"[:num_outputs])
    kind = {"class_names": names} if task is Task.CLASSIFICATION else {"target_names": names}
    return DataSpec(layout=Layout.VECTOR, task=task, input_shape=(4,), num_outputs=num_outputs, **kind)


NUMBERS = spec(2, Task.REGRESSION)


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
