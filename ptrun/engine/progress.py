"""Where a run stands, what an epoch reports, and where the time went."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any


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
class EpochReport:
    """One finished epoch: its record for the loggers, and whether it is the best so far."""

    record: Mapping[str, Any]
    is_best: bool
