"""Answers to a step whose loss, gradients or weights are non-finite: leave it out, or go back to earlier weights.

What is decided depends on the numbers alone, never on a clock, so that a resumed run decides alike. Looking at every
step waits for the device, so a run does it only when asked to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ptrun.engine.hooks import Hooks
from ptrun.engine.progress import Progress
from ptrun.engine.running_loss import RunningLoss
from ptrun.errors import DivergedError

MAX_SKIPPED_IN_A_ROW = 100
MAX_ROLLBACKS = 3
_RUNNING_STATISTICS = ("running_mean", "running_var")


class NonFinitePolicy(Protocol):
    """Decides whether the update of a step is taken."""

    def start_epoch(self) -> None:
        """Prepare for the steps of an epoch."""
        ...

    def update(self, update: Callable[[], object], losses: RunningLoss, progress: Progress, hooks: Hooks) -> bool:
        """Take the update unless the policy refuses it. Returns whether the optimizer's state was replaced.

        Raises DivergedError when that was needed too often.
        """
        ...


class TakeEveryStep:
    """The policy that looks at nothing: the running loss finds non-finite losses later."""

    def start_epoch(self) -> None:
        """Nothing to prepare."""

    def update(self, update: Callable[[], object], losses: RunningLoss, progress: Progress, hooks: Hooks) -> bool:
        """Take the update."""
        update()
        return False


class SkipStep:
    """Leaves out a step whose loss or gradients are non-finite, and puts the model's buffers back.

    Scaled fp16 gradients are left to the scaler, which skips an overflow itself.
    """

    def __init__(self, model: nn.Module, *, scaled: bool) -> None:
        self._model, self._parameters, self._scaled = model, list(model.parameters()), scaled
        self._buffers: list[tuple[Tensor, Tensor]] = []

    def start_epoch(self) -> None:
        """Copy the buffers: a forward pass on bad numbers spoils running statistics too."""
        if not self._buffers:
            self._buffers = [(buffer, buffer.clone()) for buffer in self._model.buffers()]
            return
        for buffer, copy in self._buffers:
            copy.copy_(buffer)

    def update(self, update: Callable[[], object], losses: RunningLoss, progress: Progress, hooks: Hooks) -> bool:
        """Take the update when the losses and the gradients are finite."""
        if all_finite([*losses.of_step(progress.step), *self._gradients()]):
            update()
            progress.skipped_in_a_row = 0
        else:
            losses.drop(progress.step)
            self._forget_step()
            _count_skip(progress)
        self.start_epoch()
        return False

    def _gradients(self) -> list[Tensor]:
        if self._scaled:
            return []
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        return [gradient._values() if gradient.is_sparse else gradient for gradient in gradients]

    def _forget_step(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None
        with torch.no_grad():
            for buffer, copy in self._buffers:
                buffer.copy_(copy)


class RollBack:
    """Goes back to the weights of the last rollback point when a step made them, or its loss, non-finite.

    state: those weights and the optimizer's state (ptrun/checkpoint/state.py writes and reads it).
    step: the optimizer step that they are of.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.state: Mapping[str, Any] = {}
        self.step = -1

    def start_epoch(self) -> None:
        """Nothing to prepare."""

    def update(self, update: Callable[[], object], losses: RunningLoss, progress: Progress, hooks: Hooks) -> bool:
        """Take the update; go back when the losses or the weights are non-finite after it."""
        step_losses = losses.of_step(progress.step)
        update()
        if all_finite([*step_losses, *learned_tensors(self._model).values()]):
            return False
        losses.drop(progress.step)
        _count_rollback(progress)
        hooks.roll_back()
        return True


def learned_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What training changes in a model, by name: parameters and running statistics.

    Other buffers may hold infinities, as masks do.
    """
    buffers = {name: buffer for name, buffer in model.named_buffers() if name.endswith(_RUNNING_STATISTICS)}
    return {**dict(model.named_parameters()), **buffers}


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no number is NaN or infinite. Waits for the device."""
    if not tensors:
        return True
    with torch.no_grad():
        norms = torch._foreach_norm(list(tensors))  # one pass over all of them, one value read
        if bool(torch.isfinite(torch.stack([norm.float() for norm in norms])).all()):
            return True
        return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)  # a norm of finite numbers may overflow


def first_nonfinite(tensors: Mapping[str, Tensor]) -> str:
    """The name of the first tensor that holds NaN or infinity; "" when there is none."""
    floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    if all_finite(list(floats.values())):
        return ""
    return next(name for name, tensor in floats.items() if not all_finite([tensor]))


def _count_skip(progress: Progress) -> None:
    progress.skipped += 1
    progress.skipped_in_a_row += 1
    if progress.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
        raise DivergedError(
            f"The loss or its gradient was non-finite in {MAX_SKIPPED_IN_A_ROW} steps in a row, up to step "
            f"{progress.step + 1}, in epoch {progress.epoch + 1}: skipping them does not help. Nothing after the last "
            "checkpoint is saved. Try a smaller optimizer.lr, train.clip_norm=1, or look at the data."
        )


def _count_rollback(progress: Progress) -> None:
    progress.rollbacks += 1
    if progress.rollbacks > MAX_ROLLBACKS:
        raise DivergedError(
            f"The loss or the weights became non-finite again at step {progress.step + 1}, in epoch "
            f"{progress.epoch + 1}, after {MAX_ROLLBACKS} returns to earlier weights. Nothing after it is saved. "
            "Try a smaller optimizer.lr, train.clip_norm=1, or a warm-up (scheduler.warmup_epochs=1)."
        )
