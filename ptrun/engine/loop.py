"""The training loop: `fit`, `train_epoch`, `evaluate`, `predict`. All of it, in one place, without config or concrete parts.

fit:          for each epoch: start_epoch → train_epoch → evaluate → schedule → report
train_epoch:  for each batch: forward → loss → backward; every `grad_accumulation` batches: clip → step → schedule

Invariant: given the same batches, the parameters equal bit for bit (CPU, fp32) those of the plain
tutorial loop; the device is never waited for within an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ptrun.data.loading.loader import Batch
from ptrun.engine.context import Hooks, TrainContext
from ptrun.engine.evaluate import evaluate
from ptrun.engine.out_of_memory import explain_out_of_memory
from ptrun.engine.progress import EpochReport, Progress
from ptrun.engine.running_loss import RunningLoss
from ptrun.engine.step import backward, backward_in_parts, closure_step, guarded_step, share_of_step
from ptrun.errors import DivergedError
from ptrun.optim.parameter_groups import main_param_group
from ptrun.optim.step import make_step


def fit(x: TrainContext, progress: Progress, watch: Hooks, on_epoch_end: Callable[[EpochReport], None]) -> Progress:
    """Train until the last epoch, the last step, or until nothing improves. Raises DivergedError on a non-finite loss."""
    for epoch in range(progress.epoch, x.epochs):
        begun = time.perf_counter()
        start_epoch(x.model, epoch)
        with explain_out_of_memory(f"training, epoch {epoch + 1}", "training", x.train.sampler.batch_size, x.runtime):
            record = train_epoch(x, epoch, progress, watch)
        if progress.batch > 0:  # stopped within the epoch; the position is in `progress`
            return progress
        progress.epoch = epoch + 1
        last = progress.epoch == x.epochs or _reached_max_steps(x, progress)
        is_best = False
        if last or progress.epoch % x.val_every_epochs == 0:
            with x.times.spent_on("validation"):
                is_best = validate(x, progress, record)
        progress.seconds += time.perf_counter() - begun
        record |= {"seconds": time.perf_counter() - begun, "best": is_best}
        if _out_of_patience(x, progress):
            progress.stopped = f"no better {x.monitor} in {x.patience_epochs} validations"
        on_epoch_end(EpochReport(record, is_best))
        if progress.stopped or watch.should_stop():
            break
    return progress


def train_epoch(x: TrainContext, epoch: int, progress: Progress, watch: Hooks) -> dict[str, Any]:
    """The training batches of an epoch, from where `progress` stands. Returns the epoch's record."""
    x.model.train()
    if x.guard is not None:
        x.guard.remember()
    if x.recorded is None:
        return _train_epoch(x, epoch, progress, watch)
    x.recorded.start_epoch()
    with torch.no_grad():
        return _train_epoch(x, epoch, progress, watch)


def _train_epoch(x: TrainContext, epoch: int, progress: Progress, watch: Hooks) -> dict[str, Any]:
    take_step = make_step(x.optimizer, x.clip, x.runtime.scaler)
    losses = RunningLoss(x.runtime, progress.loss_sum, progress.samples)
    first, num_batches, first_samples, saving = progress.batch, len(x.train.sampler), progress.samples, x.times.checkpoint
    done, waited, rate, shown, begun = first, 0.0, 0.0, main_param_group(x.optimizer), time.perf_counter()
    window: list[Batch] = []
    waits = x.needs_closure or x.splits_batches  # for all batches of a step
    for batch, wait in _timed(x.train.epoch(epoch, first)):
        if waits:
            window.append(batch)
        else:
            losses.add(backward(x, batch, share_of_step(x, done)), batch, progress.step)
        waited += wait
        done += 1
        watch.on_step(done, num_batches)
        if done % x.grad_accumulation != 0 and done != num_batches:
            continue
        rate = float(x.optimizer.param_groups[shown]["lr"])
        if x.splits_batches:
            backward_in_parts(x, window, done, losses, progress, watch)
        if x.needs_closure:
            closure_step(x, window, done, losses, progress.step)
        elif x.guard is None:
            take_step()
        elif guarded_step(x, x.guard, take_step, losses, progress, watch):
            take_step = make_step(x.optimizer, x.clip, x.runtime.scaler)
        after_step(x, progress)
        diverged = losses.is_due and (losses.peek() is not None or x.runtime.gave_up)
        if diverged or _reached_max_steps(x, progress) or watch.should_stop():
            break
        if done < num_batches and watch.is_save_due(progress.step):
            save_within(x, losses, progress, watch, done, epoch)
    require_finite(x, losses, epoch)
    elapsed = time.perf_counter() - begun - (x.times.checkpoint - saving)
    speed = (losses.samples - first_samples) / elapsed
    x.times.data += waited
    x.times.step += elapsed - waited
    stopped_within = done < num_batches and not _reached_max_steps(x, progress)
    progress.batch, progress.samples = (done, losses.samples) if stopped_within else (0, 0)
    progress.loss_sum = losses.sum if stopped_within else 0.0
    return {
        "epoch": epoch + 1,
        "step": progress.step,
        "train/loss": losses.mean,
        "lr": rate,
        "samples_per_second": speed,
        "data_wait_percent": 100 * waited / elapsed,
    }


def save_within(x: TrainContext, losses: RunningLoss, progress: Progress, watch: Hooks, done: int, epoch: int) -> None:
    """Save in the middle of an epoch, with the place in it. Raises DivergedError."""
    require_finite(x, losses, epoch)
    progress.batch, progress.samples, progress.loss_sum = done, losses.samples, losses.sum
    with x.times.spent_on("checkpoint"):
        watch.save()


def start_epoch(model: nn.Module, epoch: int) -> None:
    """ProgressCallback the model that an epoch begins, if it wants to know (a frozen backbone does)."""
    begin = getattr(model, "start_epoch", None)
    if callable(begin):
        begin(epoch)


def require_finite(x: TrainContext, losses: RunningLoss, epoch: int) -> None:
    """Raise DivergedError naming the first step of the epoch whose loss was no finite number, if there is one."""
    found = losses.read()
    if x.runtime.gave_up:
        raise DivergedError(
            f"In epoch {epoch + 1} the gradients overflowed fp16 in about 100 steps in a row, whatever their scale: none of these steps was taken. "
            "Nothing after the last checkpoint is saved. Try device.precision=bf16, or a smaller optimizer.lr."
        )
    if found is None:
        return
    names = [x.train.split.name(index) for index in found.indices[:3].tolist()]
    more = f" and {len(found.indices) - len(names)} more" if len(found.indices) > len(names) else ""
    raise DivergedError(
        f"The training loss became {found.value} at step {found.step + 1}, in epoch {epoch + 1} (learning rate {float(x.optimizer.param_groups[main_param_group(x.optimizer)]['lr']):g}, "
        f"samples {', '.join(names)}{more}). Nothing after the last checkpoint is saved. Try a smaller optimizer.lr, "
        "train.clip_norm=1, a warm-up (scheduler.warmup_epochs=1), train.on_nonfinite=skip, or look at these samples."
    )


def after_step(x: TrainContext, progress: Progress) -> None:
    """Count the step, average the weights, and set the next learning rate."""
    if x.ema is not None:
        x.ema.update_parameters(x.model)
    progress.step += 1
    x.schedule.step(progress.step)


def validate(x: TrainContext, progress: Progress, record: dict[str, Any]) -> bool:
    """Evaluate on the validation split, add the results to the record, and say whether it is the best so far."""
    measure = x.measure()
    loss = record["val/loss"] = evaluate(x.views(x.evaluated_model), x.loss, x.val, x.runtime, measure.add)
    record |= {f"val/{name}": value for name, value in measure.values().items()}
    value = record.get(x.monitor, math.nan)
    x.schedule.observe(value, progress.epoch)
    x.schedule.step(progress.step)
    if not _is_better(x, progress, value, loss):
        progress.validations_without_best += 1
        return False
    progress.best_value, progress.best_loss = value, loss
    progress.best_epoch, progress.validations_without_best = progress.epoch, 0
    return True


def _is_better(x: TrainContext, progress: Progress, value: float, loss: float) -> bool:
    best = progress.best_value
    if not math.isfinite(value):
        return False
    if best is None or (value == best and loss < progress.best_loss - x.min_delta):
        return True
    return value > best + x.min_delta if x.higher_is_better else value < best - x.min_delta


def _out_of_patience(x: TrainContext, progress: Progress) -> bool:
    return (
        x.patience_epochs is not None
        and progress.validations_without_best >= x.patience_epochs
        and progress.epoch < x.epochs
    )


def _reached_max_steps(x: TrainContext, progress: Progress) -> bool:
    return x.max_steps is not None and progress.step >= x.max_steps


def _timed(batches: Iterator[Batch]) -> Iterator[tuple[Batch, float]]:
    """Each batch with the seconds it was waited for."""
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.perf_counter() - asked
