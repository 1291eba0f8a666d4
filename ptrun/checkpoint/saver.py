"""Decides when a checkpoint of a run is due, and has it written beside the training.

Invariant: what is written is the state at a step boundary, copied before the next step begins; weights that
are no finite numbers are never written.
"""

from __future__ import annotations

import math
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
from ptrun.errors import DivergedError
from ptrun.process.background import BackgroundWorker

_SMALL_BYTES = 2**24  # of weights: so little may wait in memory to be written
_PAUSE_SECONDS = 1.0  # between the writes of a small state: an epoch may take milliseconds, a write takes twenty


class Saver:
    """Publishes the state of a run into a folder; a context that waits for the last checkpoint to be on disk.

    A small state is written once a second at most: the newest takes the place of one that still waits, and while one
    waits only a best epoch is copied. So a run that is killed loses an epoch or a second, whichever is longer.

    settings: those of the group `checkpoint`; None when the run saves nothing.
    constant: what every checkpoint of the run holds beside its state (configuration, spec, fitted, data).
    """

    def __init__(
        self, x: TrainContext, folder: Path, settings: Mapping[str, Any] | None, constant: Mapping[str, Any]
    ) -> None:
        self.x, self.folder, self.settings, self.constant = x, folder, settings, constant
        self._saved_step = -1
        minutes = settings["every_minutes"] if settings else None
        self._every_steps: int | None = settings["every_steps"] if settings else None
        self._every_seconds = None if minutes is None else 60 * minutes
        self._begun = time.monotonic()
        chosen = settings is not None and (self._every_steps or minutes or settings["keep_best"] > 1)
        self._each_is_wanted = bool(chosen) or sum(p.nbytes for p in x.model.parameters()) > _SMALL_BYTES
        self._writer = BackgroundWorker(0.0 if self._each_is_wanted else _PAUSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._writer.wait()
        except Exception:
            if error is None:  # else the first mishap is the one to tell
                raise

    def is_due(self, step: int) -> bool:
        """Whether to save after this many steps, be it within an epoch; also when an earlier save failed, so that the next one says it."""
        if self._writer.error is not None:
            return True
        if self._every_steps is not None and step % self._every_steps == 0:
            return True
        return self._every_seconds is not None and time.monotonic() - self._begun >= self._every_seconds

    def after_epoch(self, progress: Progress, report: EpochReport) -> None:
        """Save when the epoch is due, is the last one, or is among the best so far."""
        if self.settings is None:
            return
        due = progress.epoch % self.settings["every_epochs"] == 0 or self.is_due(progress.step)
        last = progress.epoch == self.x.epochs or bool(progress.stopped)
        ranked = self._rank(progress, report)
        if last or report.is_best or ranked or (due and (self._each_is_wanted or self._writer.is_ready())):
            self.save(progress, best=report.is_best)

    def save(self, progress: Progress, *, best: bool = False) -> Path | None:
        """Have the state written; None when the configuration wants no checkpoints.

        Raises DivergedError when weights are no finite numbers, ResourceError when this or the last one can't be written.
        """
        if self.settings is None:
            return None
        path = step_file(self.folder, progress.step)
        if progress.step == self._saved_step and not best:
            return path
        self._require_finite(progress)
        if self._each_is_wanted:
            self._writer.wait()
        now = {**state.snapshot(self.x, progress), **self.constant}
        kept = [step for _, _, step in progress.ranking]
        publish = partial(store.publish, self.folder, now, step=progress.step, best=best)
        self._writer.start(partial(publish, keep=self.settings["keep"], keep_steps=kept), essential=best)
        self._saved_step, self._begun = progress.step, time.monotonic()
        return path

    def wait(self) -> None:
        """Wait until everything is on disk. Raises ResourceError when it could not be written."""
        self._writer.wait()

    def _rank(self, progress: Progress, report: EpochReport) -> bool:
        """Note the epoch in `progress.ranking` when it is among the best `keep_best`, and say whether it is."""
        assert self.settings is not None
        value, wanted = report.record.get(self.x.monitor), self.settings["keep_best"]
        if wanted == 1 or value is None or not math.isfinite(value):  # the very best is kept by its name
            return False
        sign, loss = (-1 if self.x.higher_is_better else 1), report.record["val/loss"]
        ranking = [*progress.ranking, [value, loss if math.isfinite(loss) else math.inf, progress.step]]
        progress.ranking = sorted(ranking, key=lambda each: (sign * each[0], each[1], each[2]))[:wanted]
        return progress.step in [step for _, _, step in progress.ranking]

    def _require_finite(self, progress: Progress) -> None:
        for model in (self.x.model, self.x.ema):
            name = first_nonfinite(learned_tensors(model)) if model is not None else ""
            if name:
                raise DivergedError(
                    f"The weights '{name.removeprefix('module.')}' are no finite numbers at step {progress.step}, in epoch {progress.epoch + (progress.batch > 0)}. "
                    "They are not saved; the last checkpoint is good. Try a smaller optimizer.lr, train.clip_norm=1, or train.on_nonfinite=rollback."
                )
