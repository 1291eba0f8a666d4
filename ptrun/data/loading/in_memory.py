"""Batches of data that stay in the memory of the device: nothing is read or decoded during training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ptrun.data.loading.loader import Batch, BatchSampler, mix_batch
from ptrun.data.splits import InMemorySplit
from ptrun.device.capabilities import uses_pinned_memory
from ptrun.transforms.pipeline import Pipeline

# Small batches are gathered several at once, which saves calls of torch; not more bytes than this at a time, so that
# what was gathered is still in the CPU's cache when it is used.
GATHERED_BYTES = 2**19


class InMemoryLoader:
    """Takes batches out of tensors that live on the device, by indexed gathers."""

    bad_samples: dict[int, str]

    def __init__(
        self, split: InMemorySplit, sampler: BatchSampler, pipeline: Pipeline | None, device: torch.device
    ) -> None:
        self.sampler, self.pipeline, self.device = sampler, pipeline, device
        self.split, self.bad_samples, self.num_workers = split.to(device), {}, 0
        self._on_gpu = uses_pinned_memory(device)
        self._targets = split.targets.to(device)
        sample_bytes = 4 * math.prod(split.read(0).shape) + self._targets[:1].nbytes  # as float32
        self._batches_at_once = max(1, GATHERED_BYTES // (sample_bytes * sampler.batch_size))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position `start` on."""
        size = self.sampler.batch_size
        end = min(len(self.sampler) * size, self.sampler.num_samples)
        order = self.sampler.order(epoch)[start * size : end]
        for cpu_indices in torch.split(order, size * self._batches_at_once):
            indices = self._to_device(cpu_indices)
            parts = self._inputs(indices, cpu_indices, epoch), self._targets.index_select(0, indices), indices
            batches = map(Batch, *(torch.split(part, size) for part in parts))
            yield from batches if not self._mixes else self._mixed(batches, torch.split(cpu_indices, size), epoch)

    def _to_device(self, indices: Tensor) -> Tensor:
        """Copy without waiting for the GPU, which needs pinned memory."""
        return indices.pin_memory().to(self.device, non_blocking=True) if self._on_gpu else indices.to(self.device)

    def _inputs(self, indices: Tensor, cpu_indices: Tensor, epoch: int) -> Tensor:
        inputs = self.split.gather(indices)
        if self.pipeline is None:
            return inputs
        if self.pipeline.is_random:
            inputs = self.pipeline.vary(inputs, self.sampler.rng(epoch, cpu_indices))
        return self.pipeline.finish(inputs)

    @property
    def _mixes(self) -> bool:
        return self.pipeline is not None and self.pipeline.mixes

    def _mixed(self, batches: Iterable[Batch], cpu_indices: Iterable[Tensor], epoch: int) -> Iterator[Batch]:
        for batch, indices in zip(batches, cpu_indices, strict=True):
            yield mix_batch(batch, self.pipeline, self.sampler.rng(epoch, indices))

    def describe(self) -> str:
        """How the batches are made, in a few words."""
        return f"in memory on {self.device.type}"
