"""What the training loop works on: the parts of a run, where it stands, and what it reports.

Invariant: data only; `Progress` with the parts' own states is all that a resumed run needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from ptrun.data.loading.loader import Loader
from ptrun.device.runtime import Runtime
from ptrun.engine.capture.captured_step import CapturedStep
from ptrun.engine.progress import Times
from ptrun.losses.shapes import Loss

if TYPE_CHECKING:
    from ptrun.engine.nonfinite import Guard



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
class TrainContext:
    """The parts of a run, built and placed, and the numbers that steer the loop."""

    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    runtime: Runtime
    train: Loader
    val: Loader
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
    recorded: CapturedStep | None = None
    guard: Guard | None = None
    views: Callable[[nn.Module], nn.Module] = lambda model: model  # how a model looks at a sample in evaluation
    splits_batches: bool = False  # whether a batch that memory can't take at once is computed in parts
    times: Times = field(default_factory=Times)

    @property
    def evaluated_model(self) -> nn.Module:
        """The averaged weights when there are any, else the model's own."""
        return self.model if self.ema is None else self.ema.module


@dataclass
class Hooks:
    """What the loop tells and asks while it runs; called between steps, never reading the device."""

    on_step: Callable[[int, int], None]  # batches done, batches in the epoch
    should_stop: Callable[[], bool]
    is_save_due: Callable[[int], bool] = lambda step: False  # asked after each step within an epoch
    save: Callable[[], object] = lambda: None
    roll_back: Callable[[], None] = lambda: (
        None
    )  # put the weights of the last return point back, and the optimizer's state
    on_split: Callable[[int], None] = lambda parts: None  # batches are computed in so many parts from now on
