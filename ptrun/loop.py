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
from torch import Tensor, nn

from ptrun.batches.plan import Batch, Batches
from ptrun.errors import DivergedError, is_out_of_memory
from ptrun.experiment import EpochReport, Experiment, Loss, Outputs, Progress, Watch
from ptrun.guard import guarded_step
from ptrun.losssum import LossSum
from ptrun.memory import SavePoint, out_of_memory_told
from ptrun.runtime import Runtime


def fit(x: Experiment, progress: Progress, watch: Watch, on_epoch_end: Callable[[EpochReport], None]) -> Progress:
    """Train until the last epoch, the last step, or until nothing improves. Raises DivergedError on a non-finite loss."""
    for epoch in range(progress.epoch, x.epochs):
        begun = time.perf_counter()
        start_epoch(x.model, epoch)
        with out_of_memory_told(f"training, epoch {epoch + 1}", "training", x.train.plan.batch_size, x.runtime):
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


def train_epoch(x: Experiment, epoch: int, progress: Progress, watch: Watch) -> dict[str, Any]:
    """The training batches of an epoch, from where `progress` stands. Returns the epoch's record."""
    x.model.train()
    if x.guard is not None:
        x.guard.remember()
    if x.recorded is None:
        return _train_epoch(x, epoch, progress, watch)
    x.recorded.start_epoch()
    with torch.no_grad():
        return _train_epoch(x, epoch, progress, watch)


def _train_epoch(x: Experiment, epoch: int, progress: Progress, watch: Watch) -> dict[str, Any]:
    take_step = x.runtime.stepper(x.optimizer, x.clip)
    losses = LossSum(x.runtime, progress.loss_sum, progress.samples)
    first, num_batches, first_samples, saving = progress.batch, len(x.train.plan), progress.samples, x.times.checkpoint
    done, waited, rate, shown, begun = first, 0.0, 0.0, plain_group(x.optimizer), time.perf_counter()
    window: list[Batch] = []
    waits = x.needs_closure or x.splits_batches  # for all batches of a step
    for batch, wait in _timed(x.train.epoch(epoch, first)):
        if waits:
            window.append(batch)
        else:
            losses.add(backward(x, batch, _share_of_step(x, done)), batch, progress.step)
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
            take_step = x.runtime.stepper(x.optimizer, x.clip)
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


def save_within(x: Experiment, losses: LossSum, progress: Progress, watch: Watch, done: int, epoch: int) -> None:
    """Save in the middle of an epoch, with the place in it. Raises DivergedError."""
    require_finite(x, losses, epoch)
    progress.batch, progress.samples, progress.loss_sum = done, losses.samples, losses.sum
    with x.times.spent_on("checkpoint"):
        watch.save()


def start_epoch(model: nn.Module, epoch: int) -> None:
    """Tell the model that an epoch begins, if it wants to know (a frozen backbone does)."""
    begin = getattr(model, "start_epoch", None)
    if callable(begin):
        begin(epoch)


def require_finite(x: Experiment, losses: LossSum, epoch: int) -> None:
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
        f"The training loss became {found.value} at step {found.step + 1}, in epoch {epoch + 1} (learning rate {float(x.optimizer.param_groups[plain_group(x.optimizer)]['lr']):g}, "
        f"samples {', '.join(names)}{more}). Nothing after the last checkpoint is saved. Try a smaller optimizer.lr, "
        "train.clip_norm=1, a warm-up (scheduler.warmup_epochs=1), train.on_nonfinite=skip, or look at these samples."
    )


def forward(x: Experiment, batch: Batch) -> Tensor:
    """The loss of one batch."""
    with x.runtime.autocast():
        return x.loss(x.model(x.runtime.arrange(batch.inputs)), batch.targets)


def backward(x: Experiment, batch: Batch, share: float) -> Tensor:
    """Add the gradient of one batch, which is this share of an optimizer step, and return the batch's loss."""
    if x.recorded is not None:
        return x.recorded(x.runtime.arrange(batch.inputs), batch.targets, share)
    loss = forward(x, batch)
    x.runtime.backward(loss if share == 1.0 else loss * share)
    return loss


def closure_step(x: Experiment, window: list[Batch], done: int, losses: LossSum, step: int) -> None:
    """One step of an optimizer that evaluates the loss itself, perhaps several times, on all batches of the step."""
    shares = [_share_of_step(x, position) for position in range(done - len(window), done)]
    first: list[Tensor] = []

    def closure() -> Tensor:
        x.optimizer.zero_grad()
        found = [backward(x, batch, share).detach() for batch, share in zip(window, shares, strict=True)]
        if x.clip is not None:
            x.clip()
        first.extend(found if not first else [])
        return torch.stack([loss * share for loss, share in zip(found, shares, strict=True)]).sum()

    x.runtime.closure_step(x.optimizer, closure)
    for loss, batch in zip(first, window, strict=True):
        losses.add(loss, batch, step)
    window.clear()


def backward_in_parts(
    x: Experiment, window: list[Batch], done: int, losses: LossSum, progress: Progress, watch: Watch
) -> None:
    """The gradient of an optimizer step; when memory runs out, again from its beginning with each batch in twice as many parts."""
    shares = [_share_of_step(x, position) for position in range(done - len(window), done)]
    before = SavePoint(x.model)
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


def _in_parts(x: Experiment, batch: Batch, share: float, parts: int) -> Tensor:
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


def after_step(x: Experiment, progress: Progress) -> None:
    """Count the step, average the weights, and set the next learning rate."""
    if x.ema is not None:
        x.ema.update_parameters(x.model)
    progress.step += 1
    x.schedule.step(progress.step)


def evaluate(
    model: nn.Module, loss: Loss, batches: Batches, runtime: Runtime, take: Callable[[Tensor, Tensor], None]
) -> float:
    """Give the outputs and targets of each batch of a split, in order, to `take`; return the mean loss of its samples."""
    model.eval()
    total_loss, samples = torch.zeros((), device=runtime.device), 0
    told = out_of_memory_told("evaluation", "evaluation", batches.plan.batch_size, runtime)
    with told, torch.inference_mode(), runtime.autocast():
        for batch in batches.epoch(0):
            outputs = model(runtime.arrange(batch.inputs))
            total_loss += loss(outputs, batch.targets) * len(batch.targets)
            samples += len(batch.targets)
            take(outputs, batch.targets)
    return float(total_loss) / samples


def predict(model: nn.Module, loss: Loss, batches: Batches, runtime: Runtime) -> Outputs:
    """Outputs of a model for every sample of a split, in order, and their mean loss."""
    kept: list[tuple[Tensor, Tensor]] = []
    mean_loss = evaluate(
        model, loss, batches, runtime, lambda outputs, targets: kept.append((outputs.float().cpu(), targets.cpu()))
    )
    outputs, targets = (torch.cat(each) for each in zip(*kept, strict=True))
    return Outputs(outputs, targets, mean_loss)


def validate(x: Experiment, progress: Progress, record: dict[str, Any]) -> bool:
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


def _is_better(x: Experiment, progress: Progress, value: float, loss: float) -> bool:
    best = progress.best_value
    if not math.isfinite(value):
        return False
    if best is None or (value == best and loss < progress.best_loss - x.min_delta):
        return True
    return value > best + x.min_delta if x.higher_is_better else value < best - x.min_delta


def _out_of_patience(x: Experiment, progress: Progress) -> bool:
    return (
        x.patience_epochs is not None
        and progress.validations_without_best >= x.patience_epochs
        and progress.epoch < x.epochs
    )


def _reached_max_steps(x: Experiment, progress: Progress) -> bool:
    return x.max_steps is not None and progress.step >= x.max_steps


def _share_of_step(x: Experiment, position: int) -> float:
    """The part of an optimizer step's samples that one batch holds, so that accumulating equals one large batch."""
    if x.grad_accumulation == 1:
        return 1.0
    first = position - position % x.grad_accumulation
    window = range(first, min(first + x.grad_accumulation, len(x.train.plan)))
    return x.train.plan.size(position) / sum(x.train.plan.size(each) for each in window)


def _timed(batches: Iterator[Batch]) -> Iterator[tuple[Batch, float]]:
    """Each batch with the seconds it was waited for."""
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.perf_counter() - asked


def plain_group(optimizer: torch.optim.Optimizer) -> int:
    """Which group has the learning rate of the setting; a model may want a multiple of it for some parameters."""
    rates = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    wanted = float(optimizer.defaults.get("lr", rates[0]))
    return min(range(len(rates)), key=lambda at: abs(rates[at] - wanted))
