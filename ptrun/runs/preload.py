"""Imports what the end of a run needs while it still trains: scikit-learn's metrics and matplotlib take seconds.

Without it a run would be silent for these seconds between its last epoch and its result.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from functools import partial

from ptrun.build.evaluation import metric_settings
from ptrun.config.run_config import RunConfig
from ptrun.engine.hooks import Hooks
from ptrun.engine.progress import EpochReport
from ptrun.metrics import compute
from ptrun.process.background import BackgroundWorker
from ptrun.reports import figure


class Preloader:
    """Imports in a thread, from the beginning where the data are in memory, else from the first validation on.

    Not before: the processes that read data are forked in the first epoch, and a fork while a thread imports would
    leave a module locked in them.
    """

    def __init__(self, config: RunConfig, *, forks: bool) -> None:
        """forks: whether processes that read data are started in the first epoch."""
        self._load_metrics = partial(compute.preload, metric_settings(config))
        self._load_plots = figure.preload if config.plots else None
        self._worker, self._begun, self._has_metrics = BackgroundWorker(), False, threading.Event()
        if not forks:
            self._begin()

    def after_epoch(self, report: EpochReport) -> None:
        """Begin after the first validation, unless training is over then."""
        if not report.is_last and "val/loss" in report.record:
            self._begin()

    def wait_for_metrics(self) -> None:
        """Wait until what the results need is imported, if that has begun."""
        if self._begun:
            self._has_metrics.wait()

    def wait(self) -> None:
        """Wait until everything is imported."""
        self._worker.wait()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._worker.start(self._import)

    def _import(self) -> None:
        with contextlib.suppress(
            Exception
        ):  # the code that needs the module raises the error again, where it is reported
            self._load_metrics()
        self._has_metrics.set()
        if self._load_plots is not None:
            with contextlib.suppress(Exception):
                self._load_plots()


def with_preloading(hooks: Hooks, preloader: Preloader) -> Hooks:
    """The hooks, with the imports begun after an epoch was reported."""

    def on_epoch_end(report: EpochReport) -> None:
        hooks.on_epoch_end(report)
        preloader.after_epoch(report)

    return replace(hooks, on_epoch_end=on_epoch_end)
