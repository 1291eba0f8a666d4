"""Components that the benchmarks give to ptrun by `plugins=[...]`: made-up images, and a stopwatch around the loop.

Invariant: they use only what any plugin can use.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ptrun.registry import datasets, loggers
from ptrun.samples import Data, Split, TensorSplit
from ptrun.spec import DataSpec, Layout, Task


@dataclass(frozen=True)
class Streamed:
    """A split that offers one sample at a time, as files do, so that workers read it."""

    inner: TensorSplit

    @property
    def targets(self) -> Tensor:
        """All targets in order."""
        return self.inner.targets

    def __len__(self) -> int:
        return len(self.inner)

    def read(self, index: int) -> Tensor:
        """Input of one sample."""
        return self.inner.read(index)

    def name(self, index: int) -> str:
        """Its row."""
        return self.inner.name(index)

    def fingerprint(self) -> str:
        """Hex digest."""
        return self.inner.fingerprint()


def images(count: int, size: int, num_classes: int, *, channels: int = 3, seed: int = 0) -> TensorSplit:
    """Made-up uint8 images [count, channels, size, size]: noise whose mean brightness goes with the class."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, num_classes, (count,), generator=generator)
    noise = torch.randint(0, 156, (count, channels, size, size), dtype=torch.uint8, generator=generator)
    shift = (targets * 100 // num_classes).to(torch.uint8)
    return TensorSplit(noise + shift.view(-1, 1, 1, 1), targets, torch.arange(count))


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
