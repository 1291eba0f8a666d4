"""Runs ptrun as a user does, or builds its parts, and says how long training took.

Invariant: every run has its own folder, which is removed afterwards.
"""

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
from ptrun.engine.context import Hooks
from ptrun.engine.loop import train_epoch
from ptrun.engine.progress import Progress

PLUGIN = Path(__file__).with_name("_plugin.py")


@dataclass(frozen=True)
class Timing:
    """Seconds and optimizer steps of one run.

    whole: from the first epoch to the last, with validation, metrics, console, log and checkpoints, by a clock outside the loop.
    training: of batches and steps alone, the part of `whole` that `summary.json` gives to them.
    """

    whole: float
    later_epoch: float  # seconds per sample, the median of the epochs after the first, which have nothing to warm up, start or compile
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
    """Call `ptrun.train` with its console (to a buffer instead of a terminal) and all else that it does by default."""
    with tempfile.TemporaryDirectory(prefix="ptrun-bench-") as folder, contextlib.redirect_stdout(io.StringIO()):
        places = (f"plugins=[{PLUGIN}]", "logger=stopwatch", f"output_dir={folder}", "plots=false")
        result = ptrun.train(*places, *overrides)
        with (result.run_dir / "metrics.csv").open(encoding="utf-8", newline="") as file:
            speeds = [float(line["samples_per_second"]) for line in csv.DictReader(file)]
        watch = json.loads((result.run_dir / "stopwatch.json").read_text(encoding="utf-8"))
    share = result.summary["time_percent"]
    training = watch["seconds"] * (share["data"] + share["step"]) / 100
    return Timing(
        watch["seconds"], 1 / statistics.median(speeds[1:] or speeds), training, result.summary["steps"], share
    )


def shares(timings: Sequence[Timing]) -> str:
    """Where the time of some equal runs went, in words."""
    return ", ".join(
        f"{work} {statistics.median(timing.shares[work] for timing in timings):.0f} %" for work in timings[0].shares
    )


def built(*overrides: str) -> Run:
    """The parts of a run, which is not run."""
    asked = load.load_config(Composer(), [f"plugins=[{PLUGIN}]", *overrides]).config
    config, chosen = auto.resolve_auto(asked)
    return build(config, chosen=chosen)


class Epochs:
    """Training epochs of a run, batches and steps alone, one at each call. Runs that live side by side can so be compared
    epoch by epoch; the first call starts workers and kernels.
    """

    def __init__(self, *overrides: str) -> None:
        self._run = built("train.epochs=1000", *overrides).experiment
        self._progress = Progress()
        self._watch = Hooks(lambda done, batches: None, lambda: False)

    def __call__(self) -> float:
        """Seconds per step of the next epoch."""
        begun = time.perf_counter()
        train_epoch(self._run, self._progress.epoch, self._progress, self._watch)
        self._progress.epoch += 1
        return (time.perf_counter() - begun) / len(self._run.train.sampler)
