"""Where a run stands, what an epoch reports, and where the time went."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
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


# What a validation changes.
_STANDING = ("best_value", "best_loss", "best_epoch", "best_step", "improved_value", "improved_epoch", "ranking")


@dataclass
class Progress:
    """Where a run stands; with the parts' own states, all that a resumed run needs.

    before_end: what stood in the fields of _STANDING before a validation that only the end of the training called for,
    within an epoch (train.max_steps) or between two validations (train.val_every_epochs). A longer run has no such
    validation, so an extended one goes back to it.
    """

    epoch: int = 0  # finished epochs
    step: int = 0  # optimizer steps, with those left out
    batch: int = 0  # batches done in the epoch under way
    samples: int = 0  # samples done in the epoch under way
    loss_sum: float = 0.0  # over those samples
    learning_rate: float = 0.0  # of the last step in the epoch under way
    best_value: float | None = None
    best_loss: float = math.inf  # validation loss of the best validation
    best_epoch: int = 0
    best_step: int = 0
    improved_value: float | None = None  # the last one that was better by more than train.min_delta
    improved_epoch: int = 0
    ranking: list[list[Any]] = field(
        default_factory=list
    )  # [value, validation loss, step] of the best checkpoints kept
    before_end: dict[str, Any] | None = None
    skipped: int = 0  # steps left out because of numbers that are not finite
    skipped_in_a_row: int = 0
    overflowed: int = 0  # steps that the scaler left out because gradients overflowed fp16
    rollbacks: int = 0  # returns to earlier weights for that reason
    batch_parts: int = 1  # in which each batch is computed, because memory can't take it at once
    stopped: str = ""  # why training ended before its last epoch
    pruned: bool = False  # whether it ended because other runs are better
    seconds: float = 0.0  # spent in finished epochs

    @property
    def epochs_begun(self) -> int:
        """Finished epochs, and the one under way."""
        return self.epoch + (self.batch > 0)

    @property
    def scheduled_step(self) -> int:
        """The steps that the learning-rate schedule has gone: the scaler leaves out some only to find its scale."""
        return self.step - self.overflowed

    @property
    def recorded_step(self) -> int:
        """The last step that can have a record: within an epoch, the record of its end is still to come."""
        return self.step - 1 if self.batch > 0 and self.before_end is None else self.step

    @property
    def kept_steps(self) -> list[int]:
        """The steps whose checkpoints are among the best, now or for an extended run."""
        before = self.before_end or {"ranking": [], "best_step": 0}
        ranked = [step for _, _, step in (*self.ranking, *before["ranking"])]
        return [*ranked, *([before["best_step"]] if before["best_step"] else [])]

    def finish_epoch(self) -> None:
        """Go to the beginning of the next epoch."""
        self.epoch += 1
        self.batch, self.samples, self.loss_sum = 0, 0, 0.0

    def standing(self) -> dict[str, Any]:
        """What a validation changes, as it is now."""
        return {name: getattr(self, name) for name in _STANDING}

    def forget_end(self) -> None:
        """Go back to before the validation that only the end called for."""
        for name, value in (self.before_end or {}).items():
            setattr(self, name, value)
        self.before_end = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def load(self, saved: Mapping[str, Any]) -> None:
        """Take over what `to_dict` returned, also of an older version, which lacks newer fields."""
        for each in fields(self):
            if each.name in saved:
                setattr(self, each.name, saved[each.name])
        if "improved_value" not in saved:  # each best was an improvement, and the step of the best was not kept
            self.improved_value, self.improved_epoch = self.best_value, self.best_epoch
            is_best = 0 < self.best_epoch == self.epoch and self.batch == 0
            self.best_step = self.step if is_best else 0


@dataclass(frozen=True)
class EpochReport:
    """A finished epoch, or the part of one that max_steps allows.

    record: for the loggers. is_best: whether its validation is the best so far. is_last: whether training ends with it.
    """

    record: Mapping[str, Any]
    is_best: bool
    is_last: bool


@dataclass(frozen=True)
class Standing:
    """How good a run is after some of its epochs. monitor: "val/METRIC". best_value: None without a finite one."""

    monitor: str
    best_value: float | None
    higher_is_better: bool
    epoch: int
    epochs: int
