"""Checkpoints: what one after each epoch costs a run on the digits, and how long a large one takes to verify.

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
    """Runs of the digits convnet; the seconds per step of the whole loop, checkpoints included."""

    def __init__(self, epochs: int, threads: int | None, *more: str) -> None:
        self.overrides = ("model=convnet", "device=cpu", f"train.epochs={epochs}", f"device.threads={threads or 'auto'}", *more)  # fmt: skip
        self.found: list[_run.Timing] = []

    def __call__(self) -> float:
        """Seconds per step."""
        self.found.append(_run.train(*self.overrides))
        return self.found[-1].whole_step


def large_checkpoint(folder: Path, megabytes: int) -> Path:
    """Publish a checkpoint of this size."""
    weights = torch.randn(megabytes * 1_000_000 // 4)
    state = {"model": {"weights": weights}, "config": {}, "spec": {}, "fitted": {}, "progress": {}, "data": {}}
    return store.publish(folder, state, step=1, best=False, keep=2)


def seconds_of(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    asked = read(parser(__doc__.splitlines()[0], rounds=7, threads=1))
    epochs, megabytes = (1, 10) if asked.quick else (5, 100)
    if asked.threads:
        torch.set_num_threads(asked.threads)
    report = Report("checkpoints", machine_line(asked.threads), asked.quick)
    without, saving = Run(epochs, asked.threads, "checkpoint=none"), Run(epochs, asked.threads)
    times = alternate({"no checkpoints": without, "one after each epoch": saving}, asked.rounds)
    report.compare("digits, convnet, from the first epoch to the last", times, MS_PER_STEP, "no checkpoints")
    report.note(f"time with checkpoints: {_run.shares(saving.found[-asked.rounds :])}")
    speed = statistics.median(ratios(times, "no checkpoints", "one after each epoch"))
    report.check("steps per second with checkpoints / without", speed, 0.98, at_least=True)
    share = statistics.median(1 - timing.shares["checkpoint"] / 100 for timing in saving.found[-asked.rounds :])
    report.check("share of a run's time that is not spent on checkpoints", share, 0.98, at_least=True)
    with tempfile.TemporaryDirectory(prefix="checkpoint-bench-") as name:
        path = large_checkpoint(Path(name), megabytes)
        cases: dict[str, Case] = {
            "verify": partial(seconds_of, partial(store.verify, path)),
            "verify and load": partial(seconds_of, partial(store.load, path)),
            "torch.load alone": partial(seconds_of, partial(torch.load, path, weights_only=True)),
            "write": partial(seconds_of, partial(large_checkpoint, Path(name) / "other", megabytes)),
        }
        found = alternate(cases, asked.rounds)
    report.compare(f"a checkpoint of {megabytes} MB", found, SECONDS, "torch.load alone")
    report.check(f"seconds to verify {megabytes} MB", statistics.median(found["verify"]), 0.5)
    report.write(asked.csv)


if __name__ == "__main__":
    main()
