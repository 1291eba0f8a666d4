"""Regularized normalizes over the batch in training only, and drops features with the given probability."""

from __future__ import annotations

import torch
from torch import nn

from ptrun.models.regularized import Regularized


def test_a_sample_does_not_depend_on_its_batch_in_eval_mode():
    model = Regularized(6, [8, 8], 3, dropout=0.5).eval()
    samples = torch.randn(10, 6)
    torch.testing.assert_close(model(samples)[:1], model(samples[:1]))


def test_training_mode_normalises_and_drops():
    torch.manual_seed(0)
    model = Regularized(6, [400], 3, dropout=0.25)
    normalized = model.layers[:3](torch.randn(64, 6) * 50 + 9)
    torch.testing.assert_close(normalized.mean(0), torch.zeros(400), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalized.std(0, correction=0), torch.ones(400), atol=1e-3, rtol=0)
    dropped = model.layers[4](torch.ones(64, 400))
    assert abs((dropped == 0).float().mean().item() - 0.25) < 0.02


def test_without_batch_norm_the_linear_layers_have_a_bias():
    model = Regularized(6, [8, 8], 3, dropout=0.5, batch_norm=False)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in model.modules())
    assert all(module.bias is not None for module in model.modules() if isinstance(module, nn.Linear))


def test_a_step_trains_every_parameter():
    model = Regularized(6, [8, 8], 3, dropout=0.1)
    model(torch.randn(16, 6)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
