"""Runs ptrun as a user does, in a temporary folder, or builds its parts; measures how long training takes."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ptrun
from ptrun.build.run import Run, build
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.engine.hooks import Hooks
from ptrun.engine.loop import train_epoch
from ptrun.engine.progress import Progress

PLUGIN = Path(__file__).with_name("_plugin.py")


@dataclass(frozen=True)
class Timing:
    """Seconds and optimizer steps of one run.

    whole: from the first epoch to the last, with validation, metrics, console, log and checkpoints, timed by a logger.
    training: batches and steps alone, by their shares of `whole` in `summary.json`.
    """

    whole: float
    later_epoch: float  # seconds per sample, median of the epochs after the first: no warm-up, start or compilation
    training: float
    steps: int
    shares: Mapping[str, float]  # percentages of `whole` by kind of work

    @property
    def whole_step(self) -> float:
        """Seconds per step, with everything that happens between the epochs."""
        return self.whole / self.steps

    @property
    def step(self) -> float:
        """Seconds per step, batch included."""
        return self.training / self.steps


def train(*overrides: str) -> Timing:
    """Call `ptrun.train` with all that it does by default; the console writes to a buffer instead of a terminal."""
    with tempfile.TemporaryDirectory(prefix="ptrun-bench-") as folder, contextlib.redirect_stdout(io.StringIO()):
        settings = (f"plugins=[{PLUGIN}]", "logger=stopwatch", f"output_dir={folder}", "plots=false")
        result = ptrun.train(*settings, *overrides)
        with (result.run_dir / "metrics.csv").open(encoding="utf-8", newline="") as file:
            speeds = [float(line["samples_per_second"]) for line in csv.DictReader(file)]
        watch = json.loads((result.run_dir / "stopwatch.json").read_text(encoding="utf-8"))
    share = result.summary["time_percent"]
    training = watch["seconds"] * (share["data"] + share["step"]) / 100
    return Timing(
        watch["seconds"], 1 / statistics.median(speeds[1:] or speeds), training, result.summary["steps"], share
    )


def shares(timings: Sequence[Timing]) -> str:
    """Percentages of the time of some equal runs by kind of work, as text; medians over the runs."""
    return ", ".join(
        f"{work} {statistics.median(timing.shares[work] for timing in timings):.0f} %" for work in timings[0].shares
    )


def built(*overrides: str) -> Run:
    """Build the parts of a run without running it."""
    loaded = load.load_config(Composer(), [f"plugins=[{PLUGIN}]", *overrides])
    config, decisions = auto.resolve_auto(loaded.config)
    return build(config, decisions=decisions)


class Epochs:
    """Training epochs of a run, batches and steps alone, one per call.

    So runs that exist side by side can be compared epoch by epoch. The first call starts workers and kernels.
    """

    def __init__(self, *overrides: str) -> None:
        self._ctx = built("train.epochs=1000", *overrides).ctx
        self._progress = Progress()
        self._hooks = Hooks()

    def __call__(self) -> float:
        """Seconds per step of the next epoch."""
        start = time.perf_counter()
        train_epoch(self._ctx, self._progress.epoch, self._progress, self._hooks)
        self._progress.finish_epoch()
        return (time.perf_counter() - start) / len(self._ctx.train.sampler)
