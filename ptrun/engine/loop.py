"""The training loop, without configuration and without concrete parts.

fit           for each epoch: train_epoch, validate, report
train_epoch   for each optimizer step: forward, backward, update (ptrun/engine/step.py); average; schedule

Given the same batches, the parameters equal those of the plain tutorial loop bit for bit (CPU, fp32). Within an epoch
the loop never waits for the device: losses add up there, and are read now and then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import islice, repeat
from typing import Any

from torch import nn

from ptrun.data.loading.loader import BatchSampler
from ptrun.engine.batch_norm import explain_batch_norm
from ptrun.engine.context import TrainContext
from ptrun.engine.evaluate import evaluate
from ptrun.engine.hooks import Hooks
from ptrun.engine.out_of_memory import explain_out_of_memory
from ptrun.engine.progress import EpochReport, Progress
from ptrun.engine.running_loss import RunningLoss
from ptrun.engine.stopwatch import Stopwatch
from ptrun.errors import DivergedError
from ptrun.optim.parameter_groups import main_param_group


def fit(ctx: TrainContext, progress: Progress, hooks: Hooks) -> Progress:
    """Train until the last epoch or step, or until nothing improves. Raises DivergedError on a non-finite loss.

    A run that has ended by patience takes no step when it is continued.
    """
    progress.stopped = early_stop_reason(ctx, progress)
    if progress.stopped:
        return progress
    for epoch in range(progress.epoch, ctx.epochs):
        started = time.perf_counter()
        start_epoch(ctx.model, epoch)
        batch_size = ctx.train.sampler.batch_size
        with (
            explain_out_of_memory(f"training, epoch {epoch + 1}", "training", batch_size, ctx.runtime),
            explain_batch_norm(batch_size),
        ):
            record = train_epoch(ctx, epoch, progress, hooks)
        if progress.batch > 0:  # stopped within the epoch; `progress` holds the position
            return progress
        progress.epoch = epoch + 1
        last = progress.epoch == ctx.epochs or _reached_max_steps(ctx, progress)
        is_best = False
        if last or progress.epoch % ctx.val_every_epochs == 0:
            with ctx.times.spent_on("validation"):
                is_best = validate(ctx, progress, record)
        seconds = time.perf_counter() - started
        progress.seconds += seconds
        record |= {"seconds": seconds, "best": is_best}
        progress.stopped = early_stop_reason(ctx, progress)
        hooks.on_epoch_end(EpochReport(record, is_best))
        if progress.stopped or hooks.should_stop():
            break
    return progress


def train_epoch(ctx: TrainContext, epoch: int, progress: Progress, hooks: Hooks) -> dict[str, Any]:
    """Train on the batches of one epoch, from where `progress` stands. Returns the epoch's record."""
    ctx.model.train()
    losses = RunningLoss(ctx.runtime, progress.loss_sum, progress.samples)
    watch = Stopwatch(ctx.times, losses.samples)
    batches = watch.timed(ctx.train.epoch(epoch, progress.batch))
    done, num_batches = progress.batch, len(ctx.train.sampler)
    main_group, learning_rate = main_param_group(ctx.optimizer), 0.0
    with ctx.step.epoch():
        for shares in shares_of_steps(ctx.train.sampler, ctx.grad_accumulation, done):
            learning_rate = float(ctx.optimizer.param_groups[main_group]["lr"])
            ctx.step(islice(batches, len(shares)), shares, losses, progress, hooks)
            finish_step(ctx, progress)
            done += len(shares)
            hooks.on_batch(done, num_batches)
            if _diverged(ctx, losses) or _reached_max_steps(ctx, progress) or hooks.should_stop():
                break
            if done < num_batches and hooks.is_save_due(progress.step):
                save_within_epoch(ctx, epoch, done, losses, progress, hooks)
    require_finite(ctx, losses, epoch)
    speed = watch.stop(losses.samples)
    stopped_within = done < num_batches and not _reached_max_steps(ctx, progress)
    progress.batch, progress.samples = (done, losses.samples) if stopped_within else (0, 0)
    progress.loss_sum = losses.sum if stopped_within else 0.0
    return {"epoch": epoch + 1, "step": progress.step, "train/loss": losses.mean, "lr": learning_rate, **speed}


def finish_step(ctx: TrainContext, progress: Progress) -> None:
    """Count the optimizer step, average the weights, and set the next learning rate."""
    if ctx.ema is not None:
        ctx.ema.update_parameters(ctx.model)
    progress.step += 1
    ctx.schedule.step(progress.step)


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


def save_within_epoch(
    ctx: TrainContext, epoch: int, done: int, losses: RunningLoss, progress: Progress, hooks: Hooks
) -> None:
    """Save in the middle of an epoch, with the position in it. Raises DivergedError."""
    require_finite(ctx, losses, epoch)
    progress.batch, progress.samples, progress.loss_sum = done, losses.samples, losses.sum
    with ctx.times.spent_on("checkpoint"):
        hooks.save()


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


def validate(ctx: TrainContext, progress: Progress, record: dict[str, Any]) -> bool:
    """Evaluate on the validation split, add the results to the record, and return whether it is the best so far."""
    metrics = ctx.make_metrics()
    model = ctx.with_views(ctx.evaluated_model)
    loss = record["val/loss"] = evaluate(model, ctx.loss, ctx.val, ctx.runtime, metrics.add)
    record |= {f"val/{name}": value for name, value in metrics.values().items()}
    value = record.get(ctx.monitor, math.nan)
    ctx.schedule.observe(value, progress.epoch)
    ctx.schedule.step(progress.step)
    if not _is_better(ctx, progress, value, loss):
        progress.validations_without_best += 1
        return False
    progress.best_value, progress.best_loss = value, loss
    progress.best_epoch, progress.validations_without_best = progress.epoch, 0
    return True


def _is_better(ctx: TrainContext, progress: Progress, value: float, loss: float) -> bool:
    best = progress.best_value
    if not math.isfinite(value):
        return False
    if best is None or (value == best and loss < progress.best_loss - ctx.min_delta):
        return True
    return value > best + ctx.min_delta if ctx.higher_is_better else value < best - ctx.min_delta


def early_stop_reason(ctx: TrainContext, progress: Progress) -> str:
    """Why training ends here, before its last epoch; "" when it goes on.

    It follows from the settings of now and the validations so far, so that a continued run ends where it ended before,
    and goes on when its patience was raised.
    """
    patience = ctx.patience_epochs
    if patience is None or progress.validations_without_best < patience:
        return ""
    if progress.batch > 0 or progress.epoch >= ctx.epochs:  # within an epoch, or at the end anyway
        return ""
    return f"no better {ctx.monitor} in {patience} validations"


def _reached_max_steps(ctx: TrainContext, progress: Progress) -> bool:
    return ctx.max_steps is not None and progress.step >= ctx.max_steps


def _diverged(ctx: TrainContext, losses: RunningLoss) -> bool:
    """Whether a loss that was read by now is non-finite; reads only when it is time to."""
    return losses.is_due and (losses.peek() is not None or ctx.runtime.gave_up)
