"""Undo puts back what a half-done step changed."""

from __future__ import annotations

import torch
from torch import nn

from ptrun.engine.undo import Undo, undone


def test_buffers_random_numbers_and_gradients():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    inputs = torch.randn(8, 3)
    torch.manual_seed(5)
    undo = Undo(model)
    first = model(inputs)
    first.sum().backward()
    assert model[0].running_mean.abs().sum() > 0
    undo.restore()
    assert model[0].running_mean.abs().sum() == 0
    assert model[0].num_batches_tracked == 0
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(model(inputs), first)  # the same numbers are dropped


def test_a_step_that_is_only_tried_keeps_the_gradients():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    inputs = torch.randn(8, 3)
    state = torch.get_rng_state()
    with undone(model):
        (model(inputs).sum() * torch.rand(())).backward()
    assert torch.equal(torch.get_rng_state(), state)
    assert model[0].num_batches_tracked == 0
    assert all(parameter.grad is not None for parameter in model.parameters())
