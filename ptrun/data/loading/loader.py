"""What a batch is, and which samples make it.

Invariant: which samples make batch k of an epoch is a function of (seed, epoch) alone, and how a
sample is augmented a function of (seed, epoch, index); neither touches the global random state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ptrun.data.splits import Split
from ptrun.rng import SampleRng, mix_seed


class Batch(NamedTuple):
    """Inputs [n, ...] and targets [n] or [n, num_outputs] on the device, and where they stand in the split."""

    inputs: Tensor
    targets: Tensor
    indices: Tensor


class Pipeline(Protocol):
    """What batches need of an image pipeline (ptrun/transforms.py)."""

    is_random: bool
    mixes: bool
    gives_one_size: bool
    fixed_transforms: str

    def fixed(self, images: Tensor) -> Tensor:
        """Deterministic transforms, uint8 to uint8."""
        ...

    def vary_single(self, image: Tensor, draws: SampleRng) -> Tensor:
        """Random transforms of one sample, uint8 to uint8, after which all are of one size."""
        ...

    def vary_stacked(self, images: Tensor, draws: SampleRng) -> Tensor:
        """The random transforms that come after those, uint8 to uint8."""
        ...

    def vary(self, images: Tensor, draws: SampleRng) -> Tensor:
        """All random transforms of samples of one size, uint8 to uint8."""
        ...

    def mix(self, inputs: Tensor, targets: Tensor, draws: SampleRng) -> tuple[Tensor, Tensor]:
        """Mixtures of the finished samples of a batch."""
        ...

    def finish(self, batch: Tensor) -> Tensor:
        """uint8 to normalised float32, a whole batch at once."""
        ...


@dataclass(frozen=True)
class BatchSampler:
    """How a split is cut into batches."""

    num_samples: int
    batch_size: int
    shuffle: bool
    seed: int
    drop_last: bool = False
    skip_single: bool = False  # leave out a last batch of one sample: batch norm can't train on it

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        if rest == 0 or self.drop_last or (rest == 1 and self.skip_single):
            return full
        return full + 1

    def size(self, position: int) -> int:
        """Samples in the batch at a position."""
        return min(self.batch_size, self.num_samples - position * self.batch_size)

    def draws(self, epoch: int, indices: Tensor) -> SampleRng:
        """The random numbers of samples in an epoch."""
        return SampleRng.of(self.seed, epoch, indices.numpy())

    def order(self, epoch: int) -> Tensor:
        """Indices of all samples in the order of an epoch."""
        if not self.shuffle:
            return torch.arange(self.num_samples)
        generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch))
        return torch.randperm(self.num_samples, generator=generator)


def mixed(batch: Batch, pipeline: Pipeline | None, draws: SampleRng) -> Batch:
    """The batch after the mixing transforms of a pipeline; `draws` are those of its samples."""
    if pipeline is None or not pipeline.mixes:
        return batch
    inputs, targets = pipeline.mix(batch.inputs, batch.targets, draws)
    return Batch(inputs, targets, batch.indices)


class Loader(Protocol):
    """Batches of one split."""

    sampler: BatchSampler
    bad_samples: dict[int, str]  # those that could not be read and were left out so far, with the reason

    @property
    def split(self) -> Split:
        """The samples, wherever they are kept."""
        ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position `start` on."""
        ...

    def describe(self) -> str:
        """How the batches are made, in a few words."""
        ...
