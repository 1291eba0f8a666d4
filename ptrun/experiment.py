"""What the training loop works on: the parts of a run, where it stands, and what it reports.

Invariant: data only; `Progress` with the parts' own states is all that a resumed run needs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from ptrun.batches.plan import Batches
from ptrun.recorded import RecordedStep
from ptrun.runtime import Runtime

if TYPE_CHECKING:
    from ptrun.guard import Guard

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


class Measure(Protocol):
    """The metrics of one validation (ptrun/measures.py)."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in a batch: raw outputs [n, num_outputs] and targets, on the device."""
        ...

    def values(self) -> dict[str, float]:
        """Of all batches, by name without "val/"."""
        ...


@dataclass
class Times:
    """Seconds that a run spent on each kind of work, in this process."""

    data: float = 0.0
    step: float = 0.0
    validation: float = 0.0
    checkpoint: float = 0.0
    whole: float = 0.0  # from the first epoch to the last, all of these and the rest

    @contextmanager
    def spent_on(self, work: str) -> Iterator[None]:
        """Add the time that passes inside to one kind of work."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, work, getattr(self, work) + time.perf_counter() - begun)

    def shares(self) -> dict[str, float]:
        """Percentages of the whole by kind of work, `other` included."""
        parts = {"data": self.data, "step": self.step, "validation": self.validation, "checkpoint": self.checkpoint}
        whole = max(self.whole, sum(parts.values())) or 1.0
        return {
            name: round(100 * seconds / whole, 1)
            for name, seconds in {**parts, "other": whole - sum(parts.values())}.items()
        }


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
    measure: Callable[[], Measure]  # begins the metrics of a validation
    monitor: str  # "val/loss" or "val/METRIC"
    higher_is_better: bool
    min_delta: float
    patience_epochs: int | None
    recorded: RecordedStep | None = None
    guard: Guard | None = None
    views: Callable[[nn.Module], nn.Module] = lambda model: model  # how a model looks at a sample in evaluation
    splits_batches: bool = False  # whether a batch that memory can't take at once is computed in parts
    times: Times = field(default_factory=Times)

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
    ranking: list[list[Any]] = field(
        default_factory=list
    )  # [value, validation loss, step] of the best checkpoints kept
    skipped: int = 0  # steps left out because of numbers that are not finite
    skipped_in_a_row: int = 0
    rollbacks: int = 0  # returns to earlier weights for that reason
    batch_parts: int = 1  # in which each batch is computed, because memory can't take it at once
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
    is_save_due: Callable[[int], bool] = lambda step: False  # asked after each step within an epoch
    save: Callable[[], object] = lambda: None
    roll_back: Callable[[], None] = lambda: (
        None
    )  # put the weights of the last return point back, and the optimizer's state
    on_split: Callable[[int], None] = lambda parts: None  # batches are computed in so many parts from now on
