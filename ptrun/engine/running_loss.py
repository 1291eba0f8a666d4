"""The losses of an epoch: their sum, and the first that is non-finite.

The device is read at most every READ_SECONDS. On a GPU, what is read was asked for one reading earlier, so that
training never waits for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ptrun.data.loading.loader import Batch
from ptrun.device.runtime import Runtime

READ_SECONDS = 0.05  # a step that takes longer is read by itself
MAX_UNREAD = 256


class NonFinite(NamedTuple):
    """A non-finite loss: the step, the value, and the indices [n] of the samples in its batch."""

    step: int
    value: float
    indices: Tensor


class _BatchLoss(NamedTuple):
    loss: Tensor
    size: int
    step: int
    indices: Tensor


class RunningLoss:
    """Adds up the mean loss of each batch, weighted by its number of samples."""

    def __init__(self, runtime: Runtime, loss_sum: float = 0.0, samples: int = 0) -> None:
        self.sum, self.samples = loss_sum, samples
        self._samples_in_sum = samples
        self._runtime = runtime
        self._unread: list[_BatchLoss] = []
        self._in_flight: tuple[list[_BatchLoss], Callable[[], list[float]]] | None = None
        self._first_nonfinite: NonFinite | None = None
        self._last_read = time.perf_counter()

    @property
    def mean(self) -> float:
        """Over all samples that were read; NaN when every step was left out."""
        return self.sum / self.samples if self.samples else math.nan

    @property
    def mean_so_far(self) -> float | None:
        """Over the samples whose losses are read already, without waiting for the others; None before the first."""
        return self.sum / self._samples_in_sum if self._samples_in_sum else None

    @property
    def is_due(self) -> bool:
        """Whether it is time to read."""
        return len(self._unread) >= MAX_UNREAD or time.perf_counter() - self._last_read >= READ_SECONDS

    def add(self, loss: Tensor, batch: Batch, step: int) -> None:
        """Note the mean loss of a batch at a step, without looking at its value."""
        size = len(batch.targets)
        self._unread.append(_BatchLoss(loss.detach() if loss.requires_grad else loss, size, step, batch.indices))
        self.samples += size

    def of_step(self, step: int) -> list[Tensor]:
        """The losses of an optimizer step, before any of them is read."""
        return [entry.loss for entry in self._unread if entry.step == step]

    def drop(self, step: int) -> None:
        """Leave out what was added for a step."""
        self.samples -= sum(entry.size for entry in self._unread if entry.step == step)
        self._unread = [entry for entry in self._unread if entry.step != step]

    def peek(self) -> NonFinite | None:
        """Read what the last call asked for, and ask for the rest. Returns the first non-finite loss."""
        self._finish()
        if self._unread:
            losses = torch.stack([entry.loss for entry in self._unread])
            self._in_flight = (self._unread, self._runtime.fetch(losses))
            self._unread = []
        if not self._runtime.reads_late:
            self._finish()
        self._last_read = time.perf_counter()
        return self._first_nonfinite

    def read(self) -> NonFinite | None:
        """Read everything, waiting for the device. Returns the first non-finite loss."""
        self.peek()
        self._finish()
        return self._first_nonfinite

    def _finish(self) -> None:
        if self._in_flight is None:
            return
        entries, fetch = self._in_flight
        self._in_flight = None
        for entry, value in zip(entries, fetch(), strict=True):
            self.sum += value * entry.size
            self._samples_in_sum += entry.size
            if self._first_nonfinite is None and not math.isfinite(value):
                self._first_nonfinite = NonFinite(entry.step, value, entry.indices)
