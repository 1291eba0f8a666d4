"""Synthetic images as splits of ptrun, in memory or read one by one; equal arguments give equal images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptrun.data.splits import TensorSplit


@dataclass(frozen=True)
class Streamed:
    """A split that gives one sample at a time, as files do, so that workers read it."""

    inner: TensorSplit

    @property
    def targets(self) -> Tensor:
        """All targets in order."""
        return self.inner.targets

    def __len__(self) -> int:
        return len(self.inner)

    def read(self, index: int) -> Tensor:
        """Return the input of one sample."""
        return self.inner.read(index)

    def name(self, index: int) -> str:
        """Return the row of a sample, as its name."""
        return self.inner.name(index)

    def fingerprint(self) -> str:
        """Return the hex digest of the data."""
        return self.inner.fingerprint()


def images(count: int, size: int, num_classes: int, *, channels: int = 3, seed: int = 0) -> TensorSplit:
    """Make uint8 images [count, channels, size, size]: noise whose mean brightness depends on the class."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, num_classes, (count,), generator=generator)
    noise = torch.randint(0, 156, (count, channels, size, size), dtype=torch.uint8, generator=generator)
    shift = (targets * 100 // num_classes).to(torch.uint8)
    return TensorSplit(noise + shift.view(-1, 1, 1, 1), targets, torch.arange(count))
