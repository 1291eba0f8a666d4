"""The training loop: `fit`, `train_epoch`, `evaluate`. All of it, in one place, without config or concrete parts.

fit:          for each epoch: start_epoch → train_epoch → evaluate → schedule → report
train_epoch:  for each batch: forward → loss → backward; every `grad_accumulation` batches: clip → step → schedule

Invariant: given the same batches, the parameters equal bit for bit (CPU, fp32) those of the plain
tutorial loop; no value is read from the device within an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ptrun.batches.plan import Batch, Batches
from ptrun.errors import DivergedError
from ptrun.runtime import Runtime

Loss = Callable[[Tensor, Tensor], Tensor]


class Schedule(Protocol):
    """What the loop needs of a learning-rate schedule (ptrun/schedulers.py)."""

    def step(self, steps_done: int) -> None:
        """Set the learning rates for the next optimizer step."""
        ...

    def observe(self, value: float, epoch: int) -> None:
        """Take note of the monitored value after an epoch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of state_dict."""
        ...


@dataclass
class Experiment:
    """The parts of a run, built and placed, and the numbers that steer the loop."""

    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    runtime: Runtime
    train: Batches
    val: Batches
    epochs: int
    max_steps: int | None
    grad_accumulation: int
    clip: Callable[[], None] | None
    ema: torch.optim.swa_utils.AveragedModel | None
    needs_closure: bool
    val_every_epochs: int
    measure: Callable[[Outputs], dict[str, float]]  # metrics of a validation, by name without "val/"
    monitor: str  # "val/loss" or "val/METRIC"
    higher_is_better: bool
    min_delta: float
    patience_epochs: int | None

    @property
    def evaluated_model(self) -> nn.Module:
        """The averaged weights when there are any, else the model's own."""
        return self.model if self.ema is None else self.ema.module


@dataclass
class Progress:
    """Where a run stands; with the parts' own states, all that a resumed run needs."""

    epoch: int = 0  # finished epochs
    step: int = 0  # optimizer steps taken
    batch: int = 0  # batches done in the epoch under way
    samples: int = 0  # samples done in the epoch under way
    loss_sum: float = 0.0  # over those samples
    best_value: float | None = None
    best_loss: float = math.inf  # validation loss of the best epoch: it decides between equal values
    best_epoch: int = 0
    validations_without_best: int = 0
    stopped: str = ""  # why training ended before its last epoch
    seconds: float = 0.0  # spent in finished epochs

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Outputs:
    """A model's raw outputs [N, num_outputs] for a split, with targets and mean loss, on the CPU."""

    outputs: Tensor
    targets: Tensor
    loss: float


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch: its record for the loggers, and whether it is the best so far."""

    record: Mapping[str, Any]
    is_best: bool


@dataclass
class Watch:
    """What the loop tells and asks while it runs; called between steps, never reading the device."""

    on_step: Callable[[int, int], None]  # batches done, batches in the epoch
    should_stop: Callable[[], bool]


def fit(x: Experiment, progress: Progress, watch: Watch, on_epoch_end: Callable[[EpochReport], None]) -> Progress:
    """Train until the last epoch, the last step, or until nothing improves. Raises DivergedError on a non-finite loss."""
    for epoch in range(progress.epoch, x.epochs):
        begun = time.perf_counter()
        start_epoch(x.model, epoch)
        record = train_epoch(x, epoch, progress, watch)
        if progress.batch > 0:  # stopped within the epoch; the position is in `progress`
            return progress
        progress.epoch = epoch + 1
        last = progress.epoch == x.epochs or _reached_max_steps(x, progress)
        is_best = False
        if last or progress.epoch % x.val_every_epochs == 0:
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
    """The training batches of an epoch, from where `progress` stands. Returns the epoch's record; reads the device at the end."""
    x.model.train()
    loss_sum = torch.tensor(progress.loss_sum, device=x.runtime.device)
    first, num_batches = progress.batch, len(x.train.plan)
    samples, done, waited, rate, begun = progress.samples, first, 0.0, 0.0, time.perf_counter()
    window: list[Batch] = []
    for batch, wait in _timed(x.train.epoch(epoch, first)):
        if x.needs_closure:
            window.append(batch)
        else:
            loss_sum += backward(x, batch, _share_of_step(x, done)).detach() * len(batch.targets)
        samples += len(batch.targets)
        waited += wait
        done += 1
        watch.on_step(done, num_batches)
        if done % x.grad_accumulation != 0 and done != num_batches:
            continue
        rate = _learning_rate(x.optimizer)
        if x.needs_closure:
            loss_sum += closure_step(x, window, done).detach() * sum(len(each.targets) for each in window)
            window = []
        else:
            x.runtime.step(x.optimizer, x.clip)
        after_step(x, progress)
        if _reached_max_steps(x, progress) or watch.should_stop():
            break
    mean_loss = _finite_mean(x, float(loss_sum), samples, epoch, progress)
    elapsed = time.perf_counter() - begun
    speed = (samples - progress.samples) / elapsed
    stopped_within = done < num_batches and not _reached_max_steps(x, progress)
    progress.batch, progress.samples = (done, samples) if stopped_within else (0, 0)
    progress.loss_sum = float(loss_sum) if stopped_within else 0.0
    return {
        "epoch": epoch + 1,
        "step": progress.step,
        "train/loss": mean_loss,
        "lr": rate,
        "samples_per_second": speed,
        "data_wait_percent": 100 * waited / elapsed,
    }


def start_epoch(model: nn.Module, epoch: int) -> None:
    """Tell the model that an epoch begins, if it wants to know (a frozen backbone does)."""
    begin = getattr(model, "start_epoch", None)
    if callable(begin):
        begin(epoch)


def _finite_mean(x: Experiment, loss_sum: float, samples: int, epoch: int, progress: Progress) -> float:
    mean_loss = loss_sum / samples
    if not math.isfinite(mean_loss):
        raise DivergedError(
            f"The training loss became {mean_loss} in epoch {epoch + 1} (by step {progress.step}, learning rate {_learning_rate(x.optimizer):g}). "
            "Nothing of this epoch is saved. Try a smaller optimizer.lr, train.clip_norm=1, or a warm-up (scheduler.warmup_epochs=1)."
        )
    return mean_loss


def forward(x: Experiment, batch: Batch) -> Tensor:
    """The loss of one batch."""
    with x.runtime.autocast():
        return x.loss(x.model(x.runtime.arrange(batch.inputs)), batch.targets)


def backward(x: Experiment, batch: Batch, share: float) -> Tensor:
    """Add the gradient of one batch, which is this share of an optimizer step, and return the batch's loss."""
    loss = forward(x, batch)
    x.runtime.backward(loss if share == 1.0 else loss * share)
    return loss


def closure_step(x: Experiment, window: Sequence[Batch], done: int) -> Tensor:
    """One step of an optimizer that evaluates the loss itself, on all batches of the step. Returns their mean loss."""
    shares = [_share_of_step(x, position) for position in range(done - len(window), done)]

    def closure() -> Tensor:
        x.optimizer.zero_grad()
        losses = [backward(x, batch, share).detach() * share for batch, share in zip(window, shares, strict=True)]
        if x.clip is not None:
            x.clip()
        return torch.stack(losses).sum()

    return x.runtime.closure_step(x.optimizer, closure)


def after_step(x: Experiment, progress: Progress) -> None:
    """Count the step, average the weights, and set the next learning rate."""
    if x.ema is not None:
        x.ema.update_parameters(x.model)
    progress.step += 1
    x.schedule.step(progress.step)


def evaluate(model: nn.Module, loss: Loss, batches: Batches, runtime: Runtime) -> Outputs:
    """Outputs of a model for every sample of a split, in order, and their mean loss."""
    model.eval()
    outputs, targets = [], []
    total_loss, samples = torch.zeros((), device=runtime.device), 0
    with torch.inference_mode(), runtime.autocast():
        for batch in batches.epoch(0):
            output = model(runtime.arrange(batch.inputs))
            total_loss += loss(output, batch.targets) * len(batch.targets)
            samples += len(batch.targets)
            outputs.append(output.float())
            targets.append(batch.targets)
    return Outputs(torch.cat(outputs).cpu(), torch.cat(targets).cpu(), float(total_loss) / samples)


def validate(x: Experiment, progress: Progress, record: dict[str, Any]) -> bool:
    """Evaluate on the validation split, add the results to the record, and say whether it is the best so far."""
    outputs = evaluate(x.evaluated_model, x.loss, x.val, x.runtime)
    record["val/loss"] = outputs.loss
    record |= {f"val/{name}": value for name, value in x.measure(outputs).items()}
    value = record.get(x.monitor, math.nan)
    x.schedule.observe(value, progress.epoch)
    x.schedule.step(progress.step)
    if not _is_better(x, progress, value, outputs.loss):
        progress.validations_without_best += 1
        return False
    progress.best_value, progress.best_loss = value, outputs.loss
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


def _learning_rate(optimizer: torch.optim.Optimizer) -> float:
    return max(float(group["lr"]) for group in optimizer.param_groups)
