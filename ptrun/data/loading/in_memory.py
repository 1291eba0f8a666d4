"""Batches of data that live on the device.

Invariant: a batch is one indexed gather; nothing is read from the device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ptrun.data.loading.loader import Batch, BatchSampler, Pipeline, mixed
from ptrun.data.splits import ResidentSplit

GATHERED_BYTES = 2**19  # small batches are gathered several at once, of this size together: they then stay in the cache


class InMemoryLoader:
    """The split's tensors live on the device; a batch is a part of one indexed gather."""

    bad_samples: dict[int, str]

    def __init__(
        self, split: ResidentSplit, sampler: BatchSampler, pipeline: Pipeline | None, device: torch.device
    ) -> None:
        self.sampler, self.pipeline, self.device = sampler, pipeline, device
        self._on_gpu = device.type == "cuda"
        self.split, self.bad_samples = split.to(device), {}
        self._targets = split.targets.to(device)
        sample_bytes = 4 * math.prod(split.read(0).shape) + self._targets[:1].nbytes  # as float32
        self._batches_at_once = max(1, GATHERED_BYTES // (sample_bytes * sampler.batch_size))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position `start` on."""
        size = self.sampler.batch_size
        end = min(len(self.sampler) * size, self.sampler.num_samples)
        order = self.sampler.order(epoch)[start * size : end]
        for chosen in torch.split(order, size * self._batches_at_once):
            indices = chosen.pin_memory().to(self.device, non_blocking=True) if self._on_gpu else chosen.to(self.device)
            parts = self._inputs(indices, chosen, epoch), self._targets.index_select(0, indices), indices
            batches = map(Batch, *(torch.split(part, size) for part in parts))
            yield from batches if not self._mixes else self._mixed(batches, torch.split(chosen, size), epoch)

    def _inputs(self, indices: Tensor, chosen: Tensor, epoch: int) -> Tensor:
        inputs = self.split.gather(indices)
        if self.pipeline is None:
            return inputs
        if self.pipeline.is_random:
            inputs = self.pipeline.vary(inputs, self.sampler.draws(epoch, chosen))
        return self.pipeline.finish(inputs)

    @property
    def _mixes(self) -> bool:
        return self.pipeline is not None and self.pipeline.mixes

    def _mixed(self, batches: Iterable[Batch], chosen: Iterable[Tensor], epoch: int) -> Iterator[Batch]:
        for batch, on_cpu in zip(batches, chosen, strict=True):
            yield mixed(batch, self.pipeline, self.sampler.draws(epoch, on_cpu))

    def describe(self) -> str:
        """How the batches are made, in a few words."""
        return f"in memory on {self.device.type}"
