"""What the training loop works on: the parts of a run, built and placed, and the numbers that steer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ptrun.data.loading.loader import Loader
from ptrun.device.runtime import Runtime
from ptrun.engine.nonfinite import RollBack
from ptrun.engine.progress import Times
from ptrun.engine.step import TrainStep
from ptrun.losses.shapes import Loss


class Schedule(Protocol):
    """What the loop needs of a learning-rate schedule (ptrun/optim/schedules.py)."""

    def step(self, steps_done: int) -> None:
        """Set the learning rates for the next optimizer step."""
        ...

    def observe(self, value: float, epoch: int) -> None:
        """Take the monitored value after an epoch into account."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of state_dict."""
        ...


class ValidationMetrics(Protocol):
    """The metrics of one validation (ptrun/evaluation/validation.py)."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch: raw outputs [n, num_outputs] and targets, on the device."""
        ...

    def values(self) -> dict[str, float]:
        """The metrics of all batches, by name without "val/"."""
        ...

    def interval(self) -> Mapping[str, Any] | None:
        """For forecasts, how far they were wrong (ptrun/evaluation/forecast_interval.py); else None."""
        ...


def _no_interval() -> Mapping[str, Any] | None:
    return None


@dataclass(kw_only=True)
class TrainContext:
    """The parts of a run and its settings, as the loop uses them.

    step: one optimizer step (ptrun/engine/step.py), in the variant that the run needs.
    ema: the averaged weights, or None.
    make_metrics: starts the metrics of a validation.
    monitor: "val/loss" or "val/METRIC", which decides the best epoch.
    min_delta: by how much a value must be better to be an improvement.
    patience_epochs: epochs without an improvement after which training stops, or None.
    with_views: the model as it looks at a sample in evaluation (test-time augmentation).
    rollback: where the run goes back to when its numbers become non-finite, or None.
    interval: gives how far the forecasts of the last validation were wrong, or None.
    """

    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    runtime: Runtime
    train: Loader
    val: Loader
    step: TrainStep
    ema: torch.optim.swa_utils.AveragedModel | None
    epochs: int
    max_steps: int | None
    grad_accumulation: int
    val_every_epochs: int
    make_metrics: Callable[[], ValidationMetrics]
    monitor: str
    higher_is_better: bool
    min_delta: float
    patience_epochs: int | None
    with_views: Callable[[nn.Module], nn.Module]
    rollback: RollBack | None
    times: Times = field(default_factory=Times)
    interval: Callable[[], Mapping[str, Any] | None] = _no_interval

    @property
    def evaluated_model(self) -> nn.Module:
        """The averaged weights when there are any, else the model's own."""
        return self.model if self.ema is None else self.ema.module
