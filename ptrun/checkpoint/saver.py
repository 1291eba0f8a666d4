"""Decides when a checkpoint of a run is due, and has it written beside the training."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ptrun.checkpoint import state, store
from ptrun.checkpoint.names import step_file
from ptrun.engine.context import TrainContext
from ptrun.engine.nonfinite import first_nonfinite, learned_tensors
from ptrun.engine.progress import EpochReport, Progress
from ptrun.engine.selection import enter_ranking
from ptrun.errors import DivergedError
from ptrun.process.background import BackgroundWorker

_SMALL_BYTES = 2**24  # of weights: a copy of these may wait in memory to be written
_PAUSE_SECONDS = 1.0  # between writes of a small state: an epoch may take milliseconds, a write takes twenty


class Saver:
    """Publishes the state of a run into a folder; a context that waits for the last checkpoint to be on disk.

    The state is copied at a step boundary and written by a thread while training goes on. Non-finite weights are never
    written.

    A small state is written once a second at most: the newest replaces one that still waits, and while one waits only a
    best epoch is copied. So a killed run loses an epoch or a second, whichever is longer. A large state, or one that
    the settings ask for at certain steps, is written every time, and training waits for the write before it.

    settings: those of the group `checkpoint`; None when the run saves nothing.
    constant: what every checkpoint of the run holds beside its state (configuration, spec, fitted, data).
    """

    def __init__(
        self, ctx: TrainContext, folder: Path, settings: Mapping[str, Any] | None, constant: Mapping[str, Any]
    ) -> None:
        self.ctx, self.folder, self.settings, self.constant = ctx, folder, settings, constant
        self._saved_step = -1
        minutes = settings["every_minutes"] if settings else None
        self._every_steps: int | None = settings["every_steps"] if settings else None
        self._every_seconds = None if minutes is None else 60 * minutes
        self._last_save = time.monotonic()
        chosen = settings is not None and (self._every_steps or minutes or settings["keep_best"] > 1)
        weight_bytes = sum(parameter.nbytes for parameter in ctx.model.parameters())
        self._writes_each = bool(chosen) or weight_bytes > _SMALL_BYTES
        self._writer = BackgroundWorker(0.0 if self._writes_each else _PAUSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._writer.wait()
        except Exception:
            if error is None:  # an error of the training came first, and is the one to report
                raise

    def is_due(self, step: int) -> bool:
        """Whether to save after this many steps, also within an epoch.

        True as well after a failed write, because the next `save` raises its error.
        """
        if self._writer.error is not None:
            return True
        if self._every_steps is not None and step % self._every_steps == 0:
            return True
        return self._every_seconds is not None and time.monotonic() - self._last_save >= self._every_seconds

    def after_epoch(self, progress: Progress, report: EpochReport) -> None:
        """Save when the epoch is due, is the last one, or is among the best so far."""
        if self.settings is None:
            return
        due = progress.epoch % self.settings["every_epochs"] == 0 or self.is_due(progress.step)
        ranked = self._rank(progress, report)
        if report.is_last or report.is_best or ranked or (due and (self._writes_each or self._writer.is_ready())):
            self.save(progress, best=report.is_best)

    def save(self, progress: Progress, *, best: bool = False) -> Path | None:
        """Start to write the state; returns its path, or None when the configuration saves no checkpoints.

        Raises DivergedError when weights are non-finite, ResourceError when this or the last one can't be written.
        """
        if self.settings is None:
            return None
        path = step_file(self.folder, progress.step)
        if progress.step == self._saved_step and not best:
            return path
        self._require_finite(progress)
        if self._writes_each:
            self._writer.wait()  # before the next copy, so that there is only one in memory
        checkpoint = {**state.snapshot(self.ctx, progress), **self.constant}
        write = partial(
            store.publish,
            self.folder,
            checkpoint,
            step=progress.step,
            best=best,
            keep=self.settings["keep"],
            keep_steps=progress.kept_steps,
            keep_best_of=progress.before_end["best_step"] if best and progress.before_end else 0,
        )
        self._writer.start(write, essential=best)
        self._saved_step, self._last_save = progress.step, time.monotonic()
        return path

    def wait(self) -> None:
        """Wait until everything is on disk. Raises ResourceError when it could not be written."""
        self._writer.wait()

    def _rank(self, progress: Progress, report: EpochReport) -> bool:
        """Enter the epoch into `progress.ranking`. Returns whether it is among the best `keep_best`."""
        assert self.settings is not None
        value, keep_best = report.record.get(self.ctx.monitor), self.settings["keep_best"]
        if keep_best == 1 or value is None:  # best.pt keeps the very best one
            return False
        loss, higher_is_better = report.record["val/loss"], self.ctx.higher_is_better
        return enter_ranking(progress, value, loss, keep_best, higher_is_better=higher_is_better)

    def _require_finite(self, progress: Progress) -> None:
        for model in (self.ctx.model, self.ctx.ema):
            name = first_nonfinite(learned_tensors(model)) if model is not None else ""
            if name:
                raise DivergedError(
                    f"The weights '{name.removeprefix('module.')}' are non-finite at step {progress.step}, "
                    f"in epoch {progress.epochs_begun}. They are not saved; the last checkpoint is "
                    "good. Try a smaller optimizer.lr, train.clip_norm=1, or train.on_nonfinite=rollback."
                )
