"""Components that the benchmarks load with `plugins=[...]`: synthetic images, and a stopwatch around the loop."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _images import Streamed, images

from ptrun.data.dataset import Data
from ptrun.data.splits import Split, TensorSplit
from ptrun.registry import datasets, loggers
from ptrun.spec import DataSpec, Layout, Task


@datasets.register
def bench_images(
    *,
    fitted: Mapping[str, Any] | None = None,
    count: int = 1280,
    val_count: int = 64,
    size: int = 32,
    num_classes: int = 10,
    streamed: bool = False,
) -> Data:
    """Synthetic color images."""
    counts = (count, val_count, val_count)
    splits: list[Split] = [images(number, size, num_classes, seed=seed) for seed, number in enumerate(counts)]
    if streamed:
        splits = [Streamed(split) for split in splits if isinstance(split, TensorSplit)]
    spec = DataSpec(
        layout=Layout.IMAGE,
        task=Task.CLASSIFICATION,
        input_shape=(3, size, size),
        num_outputs=num_classes,
        class_names=tuple(f"class {i}" for i in range(num_classes)),
    )
    return Data(spec=spec, train=splits[0], val=splits[1], test=splits[2])


class Stopwatch:
    """Writes the seconds from before the first epoch to after the last one to `stopwatch.json`."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir, self.started = run_dir, 0.0

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Called just before the first epoch."""
        self.started = time.perf_counter()

    def log(self, record: Mapping[str, Any]) -> None:
        """Called after each epoch."""

    def close(self) -> None:
        """Called after the last epoch and its checkpoint."""
        seconds = time.perf_counter() - self.started
        (self.run_dir / "stopwatch.json").write_text(json.dumps({"seconds": seconds}), encoding="utf-8")


@loggers.register
def stopwatch(*, run_dir: Path, resume_step: int | None = None) -> Stopwatch:
    """Build the logger that measures the time from the first epoch to the last."""
    return Stopwatch(run_dir)
