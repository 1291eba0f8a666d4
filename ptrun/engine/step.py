"""One optimizer step, in each of its variants. ptrun/build/step.py makes the one that a run needs; the loop calls it.

PlainStep    the step of every textbook: forward, backward, update
GuardedStep  computes batches in parts when memory runs out, or refuses a step whose numbers are non-finite
ClosureStep  for optimizers that evaluate the loss themselves, such as L-BFGS
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from ptrun.data.loading.loader import Batch
from ptrun.device.runtime import Runtime
from ptrun.engine.hooks import Hooks
from ptrun.engine.nonfinite import NonFinitePolicy
from ptrun.engine.progress import Progress
from ptrun.engine.running_loss import RunningLoss
from ptrun.engine.undo import Undo
from ptrun.errors import ConfigError, is_out_of_memory
from ptrun.losses.shapes import Loss

Update = Callable[[], object]  # clips the gradients and updates the parameters; returns False when it left that out
MakeUpdate = Callable[[], Update]  # an update keeps lists of the optimizer's state, so each epoch gets a new one


class Gradients(Protocol):
    """Computes the loss of a batch and adds its gradients."""

    def epoch(self) -> AbstractContextManager[None]:
        """Around the batches of an epoch."""
        ...

    def __call__(self, inputs: Tensor, targets: Tensor, share: float) -> Tensor:
        """Return the mean loss of a batch, and add the gradients of `share` times it to those of the parameters."""
        ...


class TrainStep(Protocol):
    """An optimizer step."""

    def epoch(self) -> AbstractContextManager[None]:
        """Around the steps of an epoch."""
        ...

    def __call__(
        self, batches: Iterable[Batch], shares: Sequence[float], losses: RunningLoss, progress: Progress, hooks: Hooks
    ) -> None:
        """Take one step on the batches of the step, each with its share of the step's samples.

        Adds the loss of each batch to `losses`. Raises DivergedError or ResourceError.
        """
        ...


class Autograd:
    """Loss and gradients by torch's autograd."""

    def __init__(self, model: nn.Module, loss: Loss, runtime: Runtime) -> None:
        self._model, self._loss, self._runtime = model, loss, runtime

    def epoch(self) -> AbstractContextManager[None]:
        """Nothing to prepare."""
        return nullcontext()

    def __call__(self, inputs: Tensor, targets: Tensor, share: float) -> Tensor:
        """Forward and backward of one batch; the gradients are scaled when the number format is fp16."""
        with self._runtime.autocast():
            loss = self._loss(self._model(inputs), targets)
        if not loss.requires_grad:
            raise ConfigError(
                "loss: there is no way from the loss back to the weights, so nothing can be trained. The loss or the "
                "model cuts it: `detach()`, `item()`, `argmax`, a comparison, or a conversion to NumPy."
            )
        part = loss if share == 1.0 else loss * share
        if self._runtime.scaler is not None:
            part = self._runtime.scaler.scale(part)
        part.backward()  # type: ignore[no-untyped-call]
        return loss


class PlainStep:
    """Forward and backward of each batch, then one update."""

    def __init__(
        self, gradients: Gradients, make_update: MakeUpdate, parameters: Sequence[nn.Parameter], runtime: Runtime
    ) -> None:
        self.gradients, self._make_update, self._arrange = gradients, make_update, runtime.arrange
        self._parameters = parameters
        self._update = make_update()

    @contextmanager
    def epoch(self) -> Iterator[None]:
        """Look at the optimizer's state again: it may have been loaded since the last epoch."""
        self._update = self._make_update()
        with self.gradients.epoch():
            yield

    def __call__(
        self, batches: Iterable[Batch], shares: Sequence[float], losses: RunningLoss, progress: Progress, hooks: Hooks
    ) -> None:
        """Take one step."""
        for batch, share in zip(batches, shares, strict=True):
            losses.add(self.gradients(self._arrange(batch.inputs), batch.targets, share), batch, progress.step)
        if self._update() is False:  # not by _take: the frames from the command line to torch are counted
            progress.overflowed += 1
        for parameter in self._parameters:
            parameter.grad = None


class GuardedStep:
    """A step in two halves, each of which can fail and be answered: the gradients, and the update."""

    def __init__(
        self,
        accumulate: Accumulate,
        policy: NonFinitePolicy,
        make_update: MakeUpdate,
        parameters: Sequence[nn.Parameter],
    ) -> None:
        self._accumulate, self._policy, self._make_update = accumulate, policy, make_update
        self._parameters = parameters
        self._update = make_update()

    @contextmanager
    def epoch(self) -> Iterator[None]:
        """Look at the optimizer's state and at the model's buffers again."""
        self._update = self._make_update()
        self._policy.start_epoch()
        with self._accumulate.gradients.epoch():
            yield

    def __call__(
        self, batches: Iterable[Batch], shares: Sequence[float], losses: RunningLoss, progress: Progress, hooks: Hooks
    ) -> None:
        """Take one step, or leave it out, or go back to earlier weights."""
        self._accumulate(batches, shares, losses, progress, hooks)
        if self._policy.update(partial(_take, self._update, progress), losses, progress, hooks):
            self._update = self._make_update()  # the old one holds lists of a state that is gone
        for parameter in self._parameters:
            parameter.grad = None


def _take(update: Update, progress: Progress) -> None:
    """Take the update, and count it when the scaler left it out."""
    if update() is False:
        progress.overflowed += 1


class Accumulate(Protocol):
    """Adds up the gradients of the batches of one step, and their losses."""

    gradients: Gradients

    def __call__(
        self, batches: Iterable[Batch], shares: Sequence[float], losses: RunningLoss, progress: Progress, hooks: Hooks
    ) -> None:
        """Compute the gradients of the step. Raises what torch raises when memory runs out."""
        ...


class WholeBatches:
    """Each batch at once."""

    def __init__(self, gradients: Gradients, runtime: Runtime) -> None:
        self.gradients, self._arrange = gradients, runtime.arrange

    def __call__(
        self, batches: Iterable[Batch], shares: Sequence[float], losses: RunningLoss, progress: Progress, hooks: Hooks
    ) -> None:
        """Compute the gradients of the step."""
        for batch, share in zip(batches, shares, strict=True):
            losses.add(self.gradients(self._arrange(batch.inputs), batch.targets, share), batch, progress.step)


class BatchesInParts:
    """Each batch in parts, one by one. When memory runs out, the step starts again with twice as many parts."""

    def __init__(self, gradients: Gradients, model: nn.Module, runtime: Runtime) -> None:
        self.gradients, self._model, self._arrange = gradients, model, runtime.arrange

    def __call__(
        self, batches: Iterable[Batch], shares: Sequence[float], losses: RunningLoss, progress: Progress, hooks: Hooks
    ) -> None:
        """Compute the gradients of the step; `progress` keeps the number of parts for the steps to come."""
        window = list(batches)
        undo = Undo(self._model)
        step_losses: list[Tensor] | None = None
        while step_losses is None:
            try:
                step_losses = [
                    self._in_parts(batch, share, progress.batch_parts)
                    for batch, share in zip(window, shares, strict=True)
                ]
            except (MemoryError, RuntimeError) as error:
                largest = max(len(batch.targets) for batch in window)
                if not is_out_of_memory(error) or 2 * progress.batch_parts > largest:
                    raise
            if step_losses is None:  # outside of `except`, where the error holds the tensors of the failed attempt
                undo.restore()
                progress.batch_parts *= 2
                hooks.on_split(progress.batch_parts)
        for loss, batch in zip(step_losses, window, strict=True):
            losses.add(loss, batch, progress.step)

    def _in_parts(self, batch: Batch, share: float, num_parts: int) -> Tensor:
        """The gradients of one batch from those of its parts, weighted by their sizes. Returns the batch's loss."""
        if num_parts == 1:
            return self.gradients(self._arrange(batch.inputs), batch.targets, share).detach()
        count = len(batch.targets)
        num_parts = max(1, min(num_parts, count // 2))  # batch norm can't train on a part of one sample
        all_inputs, all_targets = (torch.tensor_split(tensor, num_parts) for tensor in (batch.inputs, batch.targets))
        part_losses = []
        for inputs, targets in zip(all_inputs, all_targets, strict=True):
            weight = len(targets) / count
            loss = self.gradients(self._arrange(inputs), targets, share * weight)
            part_losses.append(loss.detach() * weight)
        return torch.stack(part_losses).sum()


class ClosureStep:
    """One step of an optimizer that evaluates the loss itself, perhaps several times, on all batches of the step."""

    def __init__(
        self, gradients: Gradients, optimizer: torch.optim.Optimizer, clip: Callable[[], None] | None, runtime: Runtime
    ) -> None:
        self.gradients, self._optimizer, self._clip, self._arrange = gradients, optimizer, clip, runtime.arrange

    @contextmanager
    def epoch(self) -> Iterator[None]:
        """Prepare the gradients."""
        with self.gradients.epoch():
            yield

    def __call__(
        self, batches: Iterable[Batch], shares: Sequence[float], losses: RunningLoss, progress: Progress, hooks: Hooks
    ) -> None:
        """Take one step; the losses are those of its first evaluation."""
        window = list(batches)
        first_losses: list[Tensor] = []

        def closure() -> Tensor:
            self._optimizer.zero_grad()
            step_losses = [
                self.gradients(self._arrange(batch.inputs), batch.targets, share).detach()
                for batch, share in zip(window, shares, strict=True)
            ]
            _make_contiguous(self._optimizer)
            if self._clip is not None:
                self._clip()
            if not first_losses:
                first_losses.extend(step_losses)
            return torch.stack([loss * share for loss, share in zip(step_losses, shares, strict=True)]).sum()

        self._optimizer.step(closure)  # type: ignore[arg-type]
        self._optimizer.zero_grad(set_to_none=True)
        for loss, batch in zip(first_losses, window, strict=True):
            losses.add(loss, batch, progress.step)


def _make_contiguous(optimizer: torch.optim.Optimizer) -> None:
    """Lay out all gradients in the order of their dimensions: torch's LBFGS fails on those of channels-last weights."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None and not parameter.grad.is_contiguous():
                parameter.grad = parameter.grad.contiguous()
