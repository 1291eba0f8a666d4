"""Evaluation sees every sample once, in order, without changing the model."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler
from ptrun.data.splits import TensorSplit
from ptrun.device.runtime import Runtime
from ptrun.engine.evaluate import evaluate, predict
from ptrun.errors import ResourceError

CPU = Runtime(torch.device("cpu"))


def loader(batch_size: int = 3) -> InMemoryLoader:
    inputs = torch.arange(7, dtype=torch.float32)[:, None]
    split = TensorSplit(inputs, 2 * inputs, torch.arange(7))
    return InMemoryLoader(split, BatchSampler(7, batch_size, shuffle=False, seed=0), None, torch.device("cpu"))


def test_outputs_are_in_order_and_the_loss_is_the_mean_over_samples():
    model = nn.Linear(1, 1)
    whole, parts = (predict(model, mse_loss, loader(size), CPU) for size in (7, 3))
    assert torch.equal(whole.targets[:, 0], 2 * torch.arange(7.0))
    torch.testing.assert_close(whole.outputs, parts.outputs)
    assert whole.loss == pytest.approx(parts.loss)  # the last batch has one sample


def test_the_model_is_in_evaluation_and_has_no_gradients():
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.9))
    first, again = (predict(model, mse_loss, loader(), CPU).outputs for _ in range(2))
    assert torch.equal(first, again)
    assert not model.training
    assert not first.requires_grad


def test_memory_that_runs_out_is_explained():
    class Hungry(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.empty(2**55)

    with pytest.raises(ResourceError, match=r"Out of memory in evaluation, with batches of 3 .*eval_batch_size"):
        evaluate(Hungry(), mse_loss, loader(), CPU, lambda outputs, targets: None)
