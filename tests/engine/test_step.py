"""Each variant of the step gives the parameters of the plain one, on one batch or on several with their shares."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ptrun.data.loading.loader import Batch
from ptrun.device.runtime import Runtime
from ptrun.engine.hooks import Hooks
from ptrun.engine.nonfinite import RollBack, SkipStep, TakeEveryStep
from ptrun.engine.progress import Progress
from ptrun.engine.running_loss import RunningLoss
from ptrun.engine.step import Autograd, BatchesInParts, ClosureStep, GuardedStep, PlainStep, TrainStep, WholeBatches
from ptrun.optim.step import make_step

CPU = Runtime(torch.device("cpu"))
INPUTS = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
TARGETS = INPUTS.sum(1, keepdim=True)


def make(variant: str) -> tuple[nn.Module, TrainStep]:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    parameters = list(model.parameters())
    gradients = Autograd(model, mse_loss, CPU)
    update = partial(make_step, optimizer, None, None)
    whole = WholeBatches(gradients, CPU)
    steps: dict[str, TrainStep] = {
        "plain": PlainStep(gradients, update, parameters, CPU),
        "in parts": GuardedStep(BatchesInParts(gradients, model, CPU), TakeEveryStep(), update, parameters),
        "skip": GuardedStep(whole, SkipStep(model, scaled=False), update, parameters),
        "roll back": GuardedStep(whole, RollBack(model), update, parameters),
        "closure": ClosureStep(gradients, optimizer, None, CPU),
    }
    return model, steps[variant]


def take(step: TrainStep, sizes: list[int], progress: Progress) -> RunningLoss:
    """One step on the samples, cut into batches of these sizes."""
    losses = RunningLoss(CPU)
    indices = torch.arange(8).split(sizes)
    batches = [Batch(INPUTS[rows], TARGETS[rows], rows) for rows in indices]
    with step.epoch():
        step(iter(batches), tuple(size / 8 for size in sizes), losses, progress, Hooks())
    losses.read()
    return losses


def by_hand() -> tuple[Tensor, float]:
    model, _ = make("plain")
    loss = mse_loss(model(INPUTS), TARGETS)
    loss.backward()
    return model.weight.detach() - 0.1 * model.weight.grad, float(loss.detach())


@pytest.mark.parametrize("variant", ["plain", "in parts", "skip", "roll back", "closure"])
@pytest.mark.parametrize("sizes", [[8], [3, 5], [2, 2, 4]])
def test_a_step_is_that_of_one_large_batch(variant: str, sizes: list[int]):
    model, step = make(variant)
    losses = take(step, sizes, Progress())
    weight, loss = by_hand()
    torch.testing.assert_close(model.weight.detach(), weight)
    assert losses.mean == pytest.approx(loss)
    assert losses.samples == 8
    assert all(parameter.grad is None for parameter in model.parameters())


def test_parts_of_a_batch_are_weighted_by_their_sizes():
    model, step = make("in parts")
    take(step, [8], Progress(batch_parts=3))  # parts of 3, 3 and 2 samples
    torch.testing.assert_close(model.weight.detach(), by_hand()[0])


def test_a_share_for_each_batch_is_needed():
    _, step = make("plain")
    batch = Batch(INPUTS, TARGETS, torch.arange(8))
    with pytest.raises(ValueError, match="zip"), step.epoch():
        step([batch], (0.5, 0.5), RunningLoss(CPU), Progress(), Hooks())


def test_a_closure_step_takes_gradients_in_any_memory_order():
    """torch's LBFGS reads gradients as flat views, which those of channels-last weights do not have."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 2, 2), nn.Flatten()).to(memory_format=torch.channels_last)
    before = model[0].weight.detach().clone()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=2)
    step = ClosureStep(Autograd(model, mse_loss, CPU), optimizer, None, CPU)
    batch = Batch(torch.randn(4, 3, 2, 2), torch.randn(4, 2), torch.arange(4))
    with step.epoch():
        step(iter([batch]), (1.0,), RunningLoss(CPU), Progress(), Hooks())
    assert not torch.equal(model[0].weight, before)
