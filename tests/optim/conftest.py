"""A small network, and a few steps of training, for all tests of optimizers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = list[Tensor]


@pytest.fixture
def net() -> Callable[[], nn.Module]:
    """Makes equal networks with matrices, biases and a norm layer: 4 inputs, 3 outputs."""

    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))

    return make


@pytest.fixture
def train() -> Callable[..., Weights]:
    """Takes a few steps on equal batches with one or several optimizers, and returns the weights."""

    def take_steps(model: nn.Module, *optimizers: torch.optim.Optimizer, steps: int = 5) -> Weights:
        generator = torch.Generator().manual_seed(1)
        for _ in range(steps):
            inputs, targets = torch.randn(8, 4, generator=generator), torch.randint(0, 3, (8,), generator=generator)
            model.zero_grad()
            F.cross_entropy(model(inputs), targets).backward()
            for optimizer in optimizers:
                optimizer.step()
        return [p.detach().clone() for p in model.parameters()]

    return take_steps
