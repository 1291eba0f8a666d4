"""The losses of an epoch: their sum, and the first that is no finite number.

Invariant: the device is read at most every `READ_SECONDS`, and on a GPU what is read was computed one
reading earlier, so that training never waits.
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

READ_SECONDS = 0.05  # a step that takes longer is checked by itself
MOST_UNREAD = 256


class NonFinite(NamedTuple):
    """A loss that is no finite number: at which step, its value, and the samples [n] of its batch."""

    step: int
    value: float
    indices: Tensor


class _Unread(NamedTuple):
    loss: Tensor
    size: int
    step: int
    indices: Tensor


class RunningLoss:
    """Adds up the loss of each batch, weighted by its samples."""

    def __init__(self, runtime: Runtime, loss_sum: float = 0.0, samples: int = 0) -> None:
        self.sum, self.samples = loss_sum, samples
        self._runtime = runtime
        self._unread: list[_Unread] = []
        self._under_way: tuple[list[_Unread], Callable[[], list[float]]] | None = None
        self._found: NonFinite | None = None
        self._last_read = time.perf_counter()

    @property
    def mean(self) -> float:
        """Over all samples that were read; NaN when every step was left out."""
        return self.sum / self.samples if self.samples else math.nan

    @property
    def is_due(self) -> bool:
        """Whether it is time to read."""
        return len(self._unread) >= MOST_UNREAD or time.perf_counter() - self._last_read >= READ_SECONDS

    def add(self, loss: Tensor, batch: Batch, step: int) -> None:
        """Take note of the mean loss of a batch at a step, without looking at it."""
        size = len(batch.targets)
        self._unread.append(_Unread(loss.detach() if loss.requires_grad else loss, size, step, batch.indices))
        self.samples += size

    def of_step(self, step: int) -> list[Tensor]:
        """The losses of an optimizer step, before any of them is read."""
        return [each.loss for each in self._unread if each.step == step]

    def drop(self, step: int) -> None:
        """Leave out what was added for a step."""
        self.samples -= sum(each.size for each in self._unread if each.step == step)
        self._unread = [each for each in self._unread if each.step != step]

    def peek(self) -> NonFinite | None:
        """Read what was ready at the last call, and ask for the rest; return the first loss that is no finite number."""
        self._finish()
        if self._unread:
            losses = torch.stack([each.loss for each in self._unread])
            self._under_way = (self._unread, self._runtime.fetch(losses))
            self._unread = []
        if not self._runtime.reads_late:
            self._finish()
        self._last_read = time.perf_counter()
        return self._found

    def read(self) -> NonFinite | None:
        """Read everything, waiting for the device."""
        self.peek()
        self._finish()
        return self._found

    def _finish(self) -> None:
        if self._under_way is None:
            return
        batches, values = self._under_way
        self._under_way = None
        for each, value in zip(batches, values(), strict=True):
            self.sum += value * each.size
            if self._found is None and not math.isfinite(value):
                self._found = NonFinite(each.step, value, each.indices)
