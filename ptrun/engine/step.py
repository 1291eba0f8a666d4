"""Computes the loss and gradients of one optimizer step, in each of its variants."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ptrun.data.loading.loader import Batch
from ptrun.engine.context import Hooks, TrainContext
from ptrun.engine.nonfinite import Guard
from ptrun.engine.progress import Progress
from ptrun.engine.running_loss import RunningLoss
from ptrun.engine.undo import Undo
from ptrun.errors import DivergedError, is_out_of_memory


def forward(x: TrainContext, batch: Batch) -> Tensor:
    """The loss of one batch."""
    with x.runtime.autocast():
        return x.loss(x.model(x.runtime.arrange(batch.inputs)), batch.targets)


def backward(x: TrainContext, batch: Batch, share: float) -> Tensor:
    """Add the gradient of one batch, which is this share of an optimizer step, and return the batch's loss."""
    if x.recorded is not None:
        return x.recorded(x.runtime.arrange(batch.inputs), batch.targets, share)
    loss = forward(x, batch)
    x.runtime.backward(loss if share == 1.0 else loss * share)
    return loss


def closure_step(x: TrainContext, window: list[Batch], done: int, losses: RunningLoss, step: int) -> None:
    """One step of an optimizer that evaluates the loss itself, perhaps several times, on all batches of the step."""
    shares = [share_of_step(x, position) for position in range(done - len(window), done)]
    first: list[Tensor] = []

    def closure() -> Tensor:
        x.optimizer.zero_grad()
        found = [backward(x, batch, share).detach() for batch, share in zip(window, shares, strict=True)]
        if x.clip is not None:
            x.clip()
        first.extend(found if not first else [])
        return torch.stack([loss * share for loss, share in zip(found, shares, strict=True)]).sum()

    x.optimizer.step(closure)  # type: ignore[arg-type]  # hinted for floats; LBFGS takes tensors
    x.optimizer.zero_grad(set_to_none=True)
    for loss, batch in zip(first, window, strict=True):
        losses.add(loss, batch, step)
    window.clear()


def backward_in_parts(
    x: TrainContext, window: list[Batch], done: int, losses: RunningLoss, progress: Progress, watch: Hooks
) -> None:
    """The gradient of an optimizer step; when memory runs out, again from its beginning with each batch in twice as many parts."""
    shares = [share_of_step(x, position) for position in range(done - len(window), done)]
    before = Undo(x.model)
    found: list[Tensor] | None = None
    while found is None:
        try:
            found = [_in_parts(x, *each, progress.batch_parts) for each in zip(window, shares, strict=True)]
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or 2 * progress.batch_parts > max(len(batch.targets) for batch in window):
                raise
        if found is None:  # here, where the exception no longer holds the tensors of the failed attempt
            before.restore()
            progress.batch_parts *= 2
            watch.on_split(progress.batch_parts)
    for loss, batch in zip(found, window, strict=True):
        losses.add(loss, batch, progress.step)
    window.clear()


def _in_parts(x: TrainContext, batch: Batch, share: float, parts: int) -> Tensor:
    """As `backward`, on parts of the batch one after the other, weighted by their sizes."""
    if parts == 1:
        return backward(x, batch, share).detach()
    count = len(batch.targets)
    parts = max(1, min(parts, count // 2))  # never a part of one sample, on which batch norm can't train
    pieces = [torch.tensor_split(each, parts) for each in batch]
    weights = [len(targets) / count for targets in pieces[1]]
    found = [
        backward(x, Batch(*piece), share * weight).detach() * weight
        for weight, *piece in zip(weights, *pieces, strict=True)
    ]
    return torch.stack(found).sum()


def share_of_step(x: TrainContext, position: int) -> float:
    """The part of an optimizer step's samples that one batch holds, so that accumulating equals one large batch."""
    if x.grad_accumulation == 1:
        return 1.0
    first = position - position % x.grad_accumulation
    window = range(first, min(first + x.grad_accumulation, len(x.train.sampler)))
    return x.train.sampler.size(position) / sum(x.train.sampler.size(each) for each in window)


MOST_SKIPPED_IN_A_ROW = 100


MOST_ROLLBACKS = 3


def guarded_step(
    x: TrainContext, guard: Guard, take_step: Callable[[], None], losses: RunningLoss, progress: Progress, watch: Hooks
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


def _count_skip(x: TrainContext, progress: Progress) -> None:
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
