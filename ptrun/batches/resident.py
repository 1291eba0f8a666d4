"""Batches of data that live on the device.

Invariant: a batch is one indexed gather; nothing is read from the device.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ptrun.batches.plan import Batch, Pipeline, Plan
from ptrun.samples import ResidentSplit


class ResidentBatches:
    """The split's tensors live on the device; a batch is one indexed gather."""

    def __init__(self, split: ResidentSplit, plan: Plan, pipeline: Pipeline | None, device: torch.device) -> None:
        self.plan, self.pipeline, self.device = plan, pipeline, device
        self.split = split.to(device)
        self._targets = split.targets.to(device)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position `start` on."""
        order = self.plan.order(epoch).to(self.device)
        for indices in torch.split(order, self.plan.batch_size)[start : len(self.plan)]:
            inputs = self.split.gather(indices)
            if self.pipeline is not None:
                if self.pipeline.is_random:
                    keys = zip(inputs.cpu(), indices.tolist(), strict=True)
                    inputs = torch.stack([self.pipeline.vary(x, (self.plan.seed, epoch, i)) for x, i in keys]).to(
                        self.device
                    )
                inputs = self.pipeline.finish(inputs)
            yield Batch(inputs, self._targets.index_select(0, indices), indices)

    def describe(self) -> str:
        """How the batches are made, in a few words."""
        return f"in memory on {self.device.type}"
