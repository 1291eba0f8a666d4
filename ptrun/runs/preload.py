"""Imports what the end of a run needs while it still trains: scikit-learn's metrics and matplotlib take seconds.

Without it a run would be silent for these seconds between its last epoch and its result.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from ptrun.build.evaluation import metric_settings
from ptrun.config.run_config import RunConfig
from ptrun.engine.hooks import Hooks
from ptrun.engine.progress import EpochReport
from ptrun.metrics import compute
from ptrun.process.background import BackgroundWorker
from ptrun.reports import figure


class Preloader:
    """Imports in a thread, from the first validation on.

    Not before: the processes that read data are forked in the first epoch, and a fork while a thread imports would
    leave a module locked in them.
    """

    def __init__(self, config: RunConfig) -> None:
        self._imports: Sequence[Callable[[], None]] = (
            lambda: compute.preload(metric_settings(config)),
            *((figure.preload,) if config.plots else ()),
        )
        self._worker, self._begun = BackgroundWorker(), False

    def after_epoch(self, report: EpochReport) -> None:
        """Begin after the first validation, unless training is over then."""
        if self._begun or report.is_last or "val/loss" not in report.record:
            return
        self._begun = True
        self._worker.start(self._import)

    def wait(self) -> None:
        """Wait until everything is imported."""
        self._worker.wait()

    def _import(self) -> None:
        for load in self._imports:
            with contextlib.suppress(Exception):  # whoever needs it meets the error again, where it can be told
                load()


def with_preloading(hooks: Hooks, preloader: Preloader) -> Hooks:
    """The hooks, with the imports begun after an epoch was reported."""

    def on_epoch_end(report: EpochReport) -> None:
        hooks.on_epoch_end(report)
        preloader.after_epoch(report)

    return replace(hooks, on_epoch_end=on_epoch_end)
