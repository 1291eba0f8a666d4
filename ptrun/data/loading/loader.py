"""What a loader is: batches of one split, in an order that depends on the seed and the epoch alone.

Which samples make batch k of an epoch is a function of (seed, epoch). How a sample is augmented is a function of
(seed, epoch, index). Neither reads or changes torch's global random state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ptrun.data.splits import Split
from ptrun.rng import SampleRng, mix_seed
from ptrun.transforms.pipeline import Pipeline


class Batch(NamedTuple):
    """Inputs [n, ...] and targets [n] or [n, num_outputs] on the device, and positions of the samples in the split."""

    inputs: Tensor
    targets: Tensor
    indices: Tensor


@dataclass(frozen=True)
class BatchSampler:
    """Cuts the samples of a split into batches, for each epoch in another order if `shuffle`.

    skip_single: leave out a last batch of one sample, on which batch norm can't train.
    """

    num_samples: int
    batch_size: int
    shuffle: bool
    seed: int
    drop_last: bool = False
    skip_single: bool = False

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(self.num_samples, self.batch_size)
        if rest == 0 or self.drop_last or (rest == 1 and self.skip_single):
            return full
        return full + 1

    def size(self, position: int) -> int:
        """Samples in the batch at a position."""
        return min(self.batch_size, self.num_samples - position * self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """Indices of all samples in the order of an epoch."""
        if not self.shuffle:
            return torch.arange(self.num_samples)
        generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch))
        return torch.randperm(self.num_samples, generator=generator)

    def rng(self, epoch: int, indices: Tensor) -> SampleRng:
        """The random numbers of samples in an epoch, one row for each index."""
        return SampleRng.of(self.seed, epoch, indices.numpy())


def mix_batch(batch: Batch, pipeline: Pipeline | None, rng: SampleRng) -> Batch:
    """The batch after mixup and cutmix, if the pipeline has them; `rng` has a row for each sample of the batch."""
    if pipeline is None or not pipeline.mixes:
        return batch
    inputs, targets = pipeline.mix(batch.inputs, batch.targets, rng)
    return Batch(inputs, targets, batch.indices)


class Loader(Protocol):
    """Gives the batches of one split.

    bad_samples: index and reason of each sample that could not be read and was left out so far.
    num_workers: processes that read the samples.
    """

    sampler: BatchSampler
    bad_samples: dict[int, str]
    num_workers: int

    @property
    def split(self) -> Split:
        """The samples."""
        ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position `start` on."""
        ...

    def describe(self) -> str:
        """How the batches are made, in a few words."""
        ...
