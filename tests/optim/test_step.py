from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.optim.step import clipper, make_step


def model_with_gradients(*gradients: float) -> nn.Module:
    model = nn.Module()
    for index, gradient in enumerate(gradients):
        parameter = nn.Parameter(torch.zeros(1))
        parameter.grad = torch.tensor([gradient])
        model.register_parameter(f"weight_{index}", parameter)
    return model


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=1.0)


def moves(model: nn.Module) -> list[float]:
    """How far each weight went, against its gradient."""
    return [-p.item() for p in model.parameters()]


@pytest.mark.parametrize(
    ("clip_norm", "clip_value", "expected"),
    [
        (None, None, [3.0, -4.0]),
        (1.0, None, [0.6, -0.8]),
        (None, 3.5, [3.0, -3.5]),
        (1.0, 1.0, [0.5**0.5, -(0.5**0.5)]),
    ],
)
def test_gradients_are_clipped_then_applied(clip_norm, clip_value, expected):
    model = model_with_gradients(3.0, -4.0)
    make_step(sgd(model), clipper(model.parameters(), clip_norm, clip_value), None)()
    assert moves(model) == pytest.approx(expected, rel=1e-5)


def test_nothing_to_clip_is_no_function():
    assert clipper([], None, None) is None


def test_under_a_scaler_true_gradients_are_clipped():
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    model = model_with_gradients(3.0 * 1024, -4.0 * 1024)
    scaler.scale(torch.zeros(1))  # as a backward pass does: the scale exists from its first use
    make_step(sgd(model), clipper(model.parameters(), 1.0, None), scaler)()
    assert moves(model) == pytest.approx([0.6, -0.8], rel=1e-5)


def test_a_step_with_overflowed_gradients_is_left_out_and_halves_the_scale():
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    model = model_with_gradients(float("inf"), 1024.0)
    scaler.scale(torch.zeros(1))
    step = make_step(sgd(model), None, scaler)
    assert step() is False
    assert moves(model) == [0.0, 0.0]
    assert scaler.get_scale() == 512.0
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    assert step() is True
