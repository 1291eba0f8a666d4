"""The running loss is the mean over samples, and knows the first non-finite one."""

from __future__ import annotations

import math

import pytest
import torch

from ptrun.data.loading.loader import Batch
from ptrun.device.runtime import Runtime
from ptrun.engine import running_loss
from ptrun.engine.running_loss import RunningLoss

CPU = Runtime(torch.device("cpu"))


def batch(*indices: int) -> Batch:
    return Batch(torch.zeros(len(indices), 1), torch.zeros(len(indices)), torch.tensor(indices))


def test_the_mean_is_over_samples_and_continues_from_a_sum():
    losses = RunningLoss(CPU, loss_sum=6.0, samples=2)
    losses.add(torch.tensor(1.0), batch(0, 1, 2), step=0)
    losses.add(torch.tensor(4.0), batch(3), step=1)
    assert losses.read() is None
    assert (losses.sum, losses.samples, losses.mean) == (13.0, 6, pytest.approx(13 / 6))


def test_the_first_non_finite_loss_is_named_with_its_samples():
    losses = RunningLoss(CPU)
    losses.add(torch.tensor(1.0), batch(0, 1), step=4)
    losses.add(torch.tensor(math.inf), batch(2, 3), step=5)
    losses.add(torch.tensor(math.nan), batch(4, 5), step=6)
    problem = losses.read()
    assert problem is not None
    assert (problem.step, problem.value, problem.indices.tolist()) == (5, math.inf, [2, 3])


def test_a_step_can_be_dropped():
    losses = RunningLoss(CPU)
    losses.add(torch.tensor(1.0), batch(0), step=0)
    losses.add(torch.tensor(9.0), batch(1), step=1)
    assert [float(loss) for loss in losses.of_step(1)] == [9.0]
    losses.drop(1)
    losses.read()
    assert (losses.mean, losses.samples) == (1.0, 1)


def test_it_is_due_after_many_steps_or_some_time(monkeypatch: pytest.MonkeyPatch):
    losses = RunningLoss(CPU)
    monkeypatch.setattr(running_loss, "READ_SECONDS", 1000.0)
    assert not losses.is_due
    for step in range(running_loss.MAX_UNREAD):
        losses.add(torch.tensor(0.0), batch(0), step)
    assert losses.is_due
    losses.peek()
    assert not losses.is_due
    monkeypatch.setattr(running_loss, "READ_SECONDS", 0.0)
    assert losses.is_due


def test_the_mean_so_far_is_that_of_the_losses_that_were_read():
    losses = RunningLoss(CPU)
    losses.add(torch.tensor(1.0), batch(0, 1), step=0)
    assert losses.mean_so_far is None
    losses.peek()
    losses.add(torch.tensor(9.0), batch(2), step=1)
    assert losses.mean_so_far == 1.0
    losses.read()
    assert losses.mean_so_far == losses.mean == pytest.approx(11 / 3)


def test_without_samples_the_mean_is_undefined():
    assert math.isnan(RunningLoss(CPU).mean)
