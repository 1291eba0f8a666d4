"""Writes the checkpoints of a run when the configuration says so.

Invariant: what is written is the state at a step boundary.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptrun import checkpoint, state
from ptrun.experiment import Experiment, Progress


class Saver:
    """Publishes the state of a run into a folder, and knows when it is time to.

    settings: those of the group `checkpoint`; None when the run saves nothing.
    constant: what every checkpoint of the run holds beside its state (configuration, spec, fitted, data).
    """

    def __init__(
        self, x: Experiment, folder: Path, settings: Mapping[str, Any] | None, constant: Mapping[str, Any]
    ) -> None:
        self.x, self.folder, self.settings, self.constant = x, folder, settings, constant

    def after_epoch(self, progress: Progress, is_best: bool) -> None:
        """Save when the epoch is due, is the last one, or is the best so far."""
        if self.settings is None:
            return
        due = progress.epoch % self.settings["every_epochs"] == 0
        last = progress.epoch == self.x.epochs or bool(progress.stopped)
        if due or last or is_best:
            self.save(progress, best=is_best)

    def save(self, progress: Progress, *, best: bool) -> Path | None:
        """Publish a checkpoint; None when the configuration wants none. Raises ResourceError."""
        if self.settings is None:
            return None
        now = {**state.capture(self.x, progress), **self.constant}
        return checkpoint.publish(self.folder, now, step=progress.step, best=best, keep=self.settings["keep"])
