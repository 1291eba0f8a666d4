"""Checkpoints: the cost of one per epoch in a run on the digits, and the time to verify a large one.

python benchmarks/checkpoints.py [--quick] [--csv FILE] [--rounds N] [--threads N]
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import _run
import torch
from _table import MS_PER_STEP, SECONDS, Case, Report, alternate, machine_line, parser, ratios, read

from ptrun.checkpoint import store


class Run:
    """Runs of the digits convnet, which return the seconds per step of the whole loop, checkpoints included."""

    def __init__(self, epochs: int, threads: int | None, *more: str) -> None:
        settings = ("model=convnet", "device=cpu", f"train.epochs={epochs}", f"device.threads={threads or 'auto'}")
        self.overrides = (*settings, *more)
        self.timings: list[_run.Timing] = []

    def __call__(self) -> float:
        """Seconds per step."""
        self.timings.append(_run.train(*self.overrides))
        return self.timings[-1].whole_step


def large_checkpoint(folder: Path, megabytes: int) -> Path:
    """Publish a checkpoint of this size and return its path."""
    weights = torch.randn(megabytes * 1_000_000 // 4)
    state = {"model": {"weights": weights}, "config": {}, "spec": {}, "fitted": {}, "progress": {}, "data": {}}
    return store.publish(folder, state, step=1, best=False, keep=2)


def seconds_of(call: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print the results."""
    options = read(parser(__doc__.splitlines()[0], rounds=7, threads=1))
    epochs, megabytes = (1, 10) if options.quick else (5, 100)
    if options.threads:
        torch.set_num_threads(options.threads)
    report = Report("checkpoints", machine_line(options.threads), options.quick)
    without, saving = Run(epochs, options.threads, "checkpoint=none"), Run(epochs, options.threads)
    times = alternate({"no checkpoints": without, "one after each epoch": saving}, options.rounds)
    report.compare("digits, convnet, from the first epoch to the last", times, MS_PER_STEP, "no checkpoints")
    report.note(f"time with checkpoints: {_run.shares(saving.timings[-options.rounds :])}")
    speed = statistics.median(ratios(times, "no checkpoints", "one after each epoch"))
    report.check("steps per second with checkpoints / without", speed, 0.98, at_least=True)
    share = statistics.median(1 - timing.shares["checkpoint"] / 100 for timing in saving.timings[-options.rounds :])
    report.check("share of a run's time that is not spent on checkpoints", share, 0.98, at_least=True)
    with tempfile.TemporaryDirectory(prefix="checkpoint-bench-") as name:
        path = large_checkpoint(Path(name), megabytes)
        cases: dict[str, Case] = {
            "verify": partial(seconds_of, partial(store.verify, path)),
            "verify and load": partial(seconds_of, partial(store.load, path)),
            "torch.load alone": partial(seconds_of, partial(torch.load, path, weights_only=True)),
            "write": partial(seconds_of, partial(large_checkpoint, Path(name) / "other", megabytes)),
        }
        times = alternate(cases, options.rounds)
    report.compare(f"a checkpoint of {megabytes} MB", times, SECONDS, "torch.load alone")
    report.check(f"seconds to verify {megabytes} MB", statistics.median(times["verify"]), 0.5)
    report.write(options.csv)


if __name__ == "__main__":
    main()
