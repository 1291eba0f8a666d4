"""The training loop, without configuration and without concrete parts.

fit           for each epoch: train_epoch, validate_in_turn, report
train_epoch   for each optimizer step: forward, backward, update (ptrun/engine/step.py); average; schedule

Given the same batches, the parameters equal those of the plain tutorial loop bit for bit (CPU, fp32). Within an epoch
the loop never waits for the device: losses add up there, and are read now and then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from typing import Any

from torch import Tensor, nn

from ptrun.data.loading.loader import BatchSampler
from ptrun.engine.batch_norm import explain_batch_norm
from ptrun.engine.context import TrainContext
from ptrun.engine.evaluate import evaluate
from ptrun.engine.hooks import Hooks
from ptrun.engine.out_of_memory import explain_out_of_memory
from ptrun.engine.progress import EpochReport, Progress, Standing
from ptrun.engine.running_loss import RunningLoss
from ptrun.engine.selection import note_best, note_improvement
from ptrun.engine.stopwatch import Stopwatch
from ptrun.errors import DivergedError
from ptrun.optim.parameter_groups import main_param_group


def fit(ctx: TrainContext, progress: Progress, hooks: Hooks) -> Progress:
    """Train until the last epoch or step, or until nothing improves. Raises DivergedError on a non-finite loss.

    A run that is over takes no step when it is continued. `progress` holds where a stopped one goes on.
    """
    progress.stopped, progress.pruned = early_stop_reason(ctx, progress), False
    while not is_over(ctx, progress):
        started = time.perf_counter()
        record = train_epoch(ctx, progress.epoch, progress, hooks)
        if not _is_whole(ctx, progress) and not _reached_max_steps(ctx, progress):
            break
        try:
            is_best = validate_in_turn(ctx, progress, record, hooks)
        except _Stopped:  # the position is after the last batch, so a resumed run begins with the validation
            break
        if _is_whole(ctx, progress):
            progress.finish_epoch()
        seconds = time.perf_counter() - started
        progress.seconds += seconds
        record |= {"seconds": seconds, "best": is_best}
        progress.stopped = early_stop_reason(ctx, progress)
        if "val/loss" in record and not is_over(ctx, progress):
            progress.stopped = hooks.why_prune(_standing(ctx, progress))
            progress.pruned = bool(progress.stopped)
        hooks.on_epoch_end(EpochReport(record, is_best, is_over(ctx, progress)))
        if hooks.should_stop():
            break
    return progress


def is_over(ctx: TrainContext, progress: Progress) -> bool:
    """Whether training has come to its end, with the last validation: by epochs, by steps or by patience."""
    if progress.stopped or progress.epoch >= ctx.epochs:
        return True
    return _reached_max_steps(ctx, progress) and (progress.batch == 0 or progress.before_end is not None)


def train_epoch(ctx: TrainContext, epoch: int, progress: Progress, hooks: Hooks) -> dict[str, Any]:
    """Train on the batches of one epoch, from where `progress` stands. Returns the epoch's record."""
    start_epoch(ctx.model, epoch)
    batch_size = ctx.train.sampler.batch_size
    explained = explain_out_of_memory(f"training, epoch {epoch + 1}", "training", batch_size, ctx.runtime)
    ctx.model.train()
    losses = RunningLoss(ctx.runtime, progress.loss_sum, progress.samples)
    watch = Stopwatch(ctx.times, losses.samples)
    batches = watch.timed(ctx.train.epoch(epoch, progress.batch))
    done, num_batches = progress.batch, len(ctx.train.sampler)
    main_group, learning_rate = main_param_group(ctx.optimizer), progress.learning_rate
    with explained, explain_batch_norm(batch_size), ctx.step.epoch():
        for shares in _steps_left(ctx, progress):
            learning_rate = float(ctx.optimizer.param_groups[main_group]["lr"])
            ctx.step(islice(batches, len(shares)), shares, losses, progress, hooks)
            finish_step(ctx, progress)
            done += len(shares)
            hooks.on_batch(done, num_batches, losses)
            if _diverged(ctx, losses) or _reached_max_steps(ctx, progress) or hooks.should_stop():
                break
            if done < num_batches and hooks.is_save_due(progress.step):
                require_finite(ctx, losses, epoch)
                _note_position(progress, done, losses, learning_rate)
                with ctx.times.spent_on("checkpoint"):
                    hooks.save()
    require_finite(ctx, losses, epoch)
    speed = watch.stop(losses.samples)
    _note_position(progress, done, losses, learning_rate)
    return {"epoch": epoch + 1, "step": progress.step, "train/loss": losses.mean, "lr": learning_rate, **speed}


def _steps_left(ctx: TrainContext, progress: Progress) -> Iterable[tuple[float, ...]]:
    """The shares of the steps that are left of the epoch; none when only the validation of its last step is left."""
    if _reached_max_steps(ctx, progress):
        return ()
    return shares_of_steps(ctx.train.sampler, ctx.grad_accumulation, progress.batch)


def _note_position(progress: Progress, done: int, losses: RunningLoss, learning_rate: float) -> None:
    progress.batch, progress.samples, progress.loss_sum = done, losses.samples, losses.sum
    progress.learning_rate = learning_rate


def finish_step(ctx: TrainContext, progress: Progress) -> None:
    """Count the optimizer step, average the weights, and set the next learning rate."""
    if ctx.ema is not None:
        ctx.ema.update_parameters(ctx.model)
    progress.step += 1
    ctx.schedule.step(progress.scheduled_step)


def shares_of_steps(sampler: BatchSampler, grad_accumulation: int, first_batch: int) -> Iterator[tuple[float, ...]]:
    """For each optimizer step of an epoch from a batch on: the share of the step's samples that each batch holds.

    Weighted by these, the mean losses of several small batches have the gradient of one large batch.
    """
    if grad_accumulation == 1:
        yield from repeat((1.0,), len(sampler) - first_batch)
        return
    for first in range(first_batch, len(sampler), grad_accumulation):
        sizes = [sampler.size(batch) for batch in range(first, min(first + grad_accumulation, len(sampler)))]
        yield tuple(size / sum(sizes) for size in sizes)


def start_epoch(model: nn.Module, epoch: int) -> None:
    """Tell the model that an epoch begins, if it has a method for it (a frozen backbone does)."""
    begin = getattr(model, "start_epoch", None)
    if callable(begin):
        begin(epoch)


def require_finite(ctx: TrainContext, losses: RunningLoss, epoch: int) -> None:
    """Raise DivergedError when a loss of the epoch was non-finite, naming the first such step. Waits for the device."""
    problem = losses.read()
    if ctx.runtime.gave_up:
        raise DivergedError(
            f"In epoch {epoch + 1} the gradients overflowed fp16 in about 100 steps in a row, at every scale: none of "
            "these steps was taken. Nothing after the last checkpoint is saved. Try device.precision=bf16, or a "
            "smaller optimizer.lr."
        )
    if problem is None:
        return
    names = [ctx.train.split.name(index) for index in problem.indices[:3].tolist()]
    more = f" and {len(problem.indices) - len(names)} more" if len(problem.indices) > len(names) else ""
    learning_rate = float(ctx.optimizer.param_groups[main_param_group(ctx.optimizer)]["lr"])
    raise DivergedError(
        f"The training loss became {problem.value} at step {problem.step + 1}, in epoch {epoch + 1} (learning rate "
        f"{learning_rate:g}, samples {', '.join(names)}{more}). Nothing after the last checkpoint is saved. Try a "
        "smaller optimizer.lr, train.clip_norm=1, a warm-up (scheduler.warmup_epochs=1), train.on_nonfinite=skip, "
        "or look at these samples."
    )


class _Stopped(Exception):
    """Raised between two batches of a validation when the run is to stop."""


def validate_in_turn(ctx: TrainContext, progress: Progress, record: dict[str, Any], hooks: Hooks) -> bool:
    """Validate when it is the epoch's turn, or at the end of training. Returns whether the epoch is the best so far."""
    epoch: int = record["epoch"]
    is_turn = _is_whole(ctx, progress) and epoch % ctx.val_every_epochs == 0
    is_end = _reached_max_steps(ctx, progress) or epoch == ctx.epochs
    if not is_turn and not is_end:
        return False
    before = progress.standing()
    with ctx.times.spent_on("validation"):
        value, loss = validate(ctx, record, hooks)
    if is_turn:
        ctx.schedule.observe(value, epoch)
        ctx.schedule.step(progress.scheduled_step)
    else:
        progress.before_end = before
    note_improvement(progress, value, epoch, min_delta=ctx.min_delta, higher_is_better=ctx.higher_is_better)
    return note_best(progress, value, loss, epoch, higher_is_better=ctx.higher_is_better)


def validate(ctx: TrainContext, record: dict[str, Any], hooks: Hooks) -> tuple[float, float]:
    """Evaluate on the validation split, and add the results to the record. Returns the monitored value and the loss."""
    metrics = ctx.make_metrics()

    def add(outputs: Tensor, targets: Tensor) -> None:
        if hooks.should_stop():
            raise _Stopped
        metrics.add(outputs, targets)

    model = ctx.with_views(ctx.evaluated_model)
    loss = record["val/loss"] = evaluate(model, ctx.loss, ctx.val, ctx.runtime, add)
    record |= {f"val/{name}": value for name, value in metrics.values().items()}
    ctx.interval = metrics.interval
    return record.get(ctx.monitor, math.nan), loss


def early_stop_reason(ctx: TrainContext, progress: Progress) -> str:
    """Why training ends here, before its last epoch; "" when it goes on.

    It follows from the current settings and the validations so far, so that a continued run ends where it ended before,
    and goes on when its patience was raised.
    """
    patience = ctx.patience_epochs
    if progress.improved_value is None:  # a metric without a value says nothing of the training
        return ""
    if patience is None or progress.epoch - progress.improved_epoch < patience:
        return ""
    if progress.batch > 0 or progress.epoch >= ctx.epochs:  # within an epoch, or at the end anyway
        return ""
    return f"no better {ctx.monitor} in {patience} epoch{'s' if patience > 1 else ''}"


def _standing(ctx: TrainContext, progress: Progress) -> Standing:
    return Standing(ctx.monitor, progress.best_value, ctx.higher_is_better, progress.epoch, ctx.epochs)


def _is_whole(ctx: TrainContext, progress: Progress) -> bool:
    """Whether all batches of the epoch are done."""
    return progress.batch >= len(ctx.train.sampler)


def _reached_max_steps(ctx: TrainContext, progress: Progress) -> bool:
    return ctx.max_steps is not None and progress.step >= ctx.max_steps


def _diverged(ctx: TrainContext, losses: RunningLoss) -> bool:
    """Whether a loss that was read by now is non-finite; reads only when it is time to."""
    return losses.is_due and (losses.peek() is not None or ctx.runtime.gave_up)
