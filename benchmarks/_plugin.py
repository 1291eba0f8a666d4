"""Components that the benchmarks give to ptrun by `plugins=[...]`: made-up images, and a stopwatch around the loop.

Invariant: they use only what any plugin can use.
"""

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
    """Made-up colour images."""
    parts: list[Split] = [images(n, size, num_classes, seed=i) for i, n in enumerate((count, val_count, val_count))]
    if streamed:
        parts = [Streamed(part) for part in parts if isinstance(part, TensorSplit)]
    spec = DataSpec(
        layout=Layout.IMAGE,
        task=Task.CLASSIFICATION,
        input_shape=(3, size, size),
        num_outputs=num_classes,
        class_names=tuple(f"class {i}" for i in range(num_classes)),
    )
    return Data(spec=spec, train=parts[0], val=parts[1], test=parts[2])


class Stopwatch:
    """Writes the seconds from the first epoch to the last to `stopwatch.json`."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir, self.begun = run_dir, 0.0

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Called just before the first epoch."""
        self.begun = time.perf_counter()

    def log(self, record: Mapping[str, Any]) -> None:
        """Called after each epoch."""

    def close(self) -> None:
        """Called after the last epoch and its checkpoint."""
        seconds = time.perf_counter() - self.begun
        (self.run_dir / "stopwatch.json").write_text(json.dumps({"seconds": seconds}), encoding="utf-8")


@loggers.register
def stopwatch(*, run_dir: Path, resume_step: int | None = None) -> Stopwatch:
    """Logger of the time from the first epoch to the last."""
    return Stopwatch(run_dir)
