"""Steps whose loss, gradient or weights are no finite numbers: left out, or undone by going back to earlier weights.

Invariant: what is decided depends on numbers alone, never on a clock, so that a resumed run decides alike. Looking at
every step waits for the device, which is why this is not done unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ptrun.errors import DivergedError
from ptrun.experiment import Experiment, Progress, Watch
from ptrun.finite import all_finite, learned
from ptrun.losssum import LossSum

MOST_SKIPPED_IN_A_ROW = 100
MOST_ROLLBACKS = 3


class Guard:
    """Looks at the steps of a model.

    rolls_back: look at the weights after a step, else at the gradients before it (`scaled` ones are the scaler's to judge).
    return_to: what a bad step is answered with then, and the step it is of; see ptrun/state.py.
    """

    def __init__(self, model: nn.Module, *, rolls_back: bool, scaled: bool) -> None:
        self.rolls_back, self._scaled = rolls_back, scaled
        self._model, self._parameters = model, list(model.parameters())
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self.return_to: Mapping[str, Any] = {}
        self.return_step = -1

    def remember(self) -> None:
        """Note the buffers as they are: a forward pass with bad numbers spoils running statistics too."""
        if self.rolls_back:
            return
        if not self._buffers:
            self._buffers = [(each, each.clone()) for each in self._model.buffers()]
            return
        for buffer, kept in self._buffers:
            kept.copy_(buffer)

    def is_good(self, losses: Sequence[Tensor]) -> bool:
        """Whether these losses and the gradients (or, after the step, the weights) are finite numbers; waits for the device."""
        if self.rolls_back:
            values = list(learned(self._model).values())
        else:
            gradients = [] if self._scaled else [p.grad for p in self._parameters if p.grad is not None]
            values = [each._values() if each.is_sparse else each for each in gradients]
        return all_finite([*losses, *values])

    def forget_step(self) -> None:
        """Drop the gradients, and put the buffers back."""
        for parameter in self._parameters:
            parameter.grad = None
        with torch.no_grad():
            for buffer, kept in self._buffers:
                buffer.copy_(kept)


def guarded_step(
    x: Experiment, guard: Guard, take_step: Callable[[], None], losses: LossSum, progress: Progress, watch: Watch
) -> bool:
    """Take a step unless it is a bad one; say whether the run went back to earlier weights instead. Raises DivergedError."""
    of_step = losses.of_step(progress.step)
    if guard.rolls_back:
        take_step()
        if guard.is_good(of_step):
            return False
        losses.drop(progress.step)
        _count_rollback(progress)
        watch.roll_back()
        return True
    if guard.is_good(of_step):
        take_step()
        progress.skipped_in_a_row = 0
    else:
        losses.drop(progress.step)
        guard.forget_step()
        _count_skip(x, progress)
    guard.remember()
    return False


def _count_skip(x: Experiment, progress: Progress) -> None:
    progress.skipped += 1
    progress.skipped_in_a_row += 1
    if progress.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
        raise DivergedError(
            f"The loss or its gradient was no finite number in {MOST_SKIPPED_IN_A_ROW} steps in a row, up to step {progress.step + 1}, in epoch {progress.epoch + 1}: "
            "skipping them does not help. Nothing after the last checkpoint is saved. Try a smaller optimizer.lr, train.clip_norm=1, or look at the data."
        )


def _count_rollback(progress: Progress) -> None:
    progress.rollbacks += 1
    if progress.rollbacks > MOST_ROLLBACKS:
        raise DivergedError(
            f"The loss or the weights became no finite numbers again at step {progress.step + 1}, in epoch {progress.epoch + 1}, after {MOST_ROLLBACKS} returns to earlier weights. "
            "Nothing after it is saved. Try a smaller optimizer.lr, train.clip_norm=1, or a warm-up (scheduler.warmup_epochs=1)."
        )
