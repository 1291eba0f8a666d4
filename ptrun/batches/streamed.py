"""Batches of data that worker processes read when they are needed.

Invariant: the bits of a sample do not depend on the number of workers, the batch it is in, or where the epoch began.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ptrun.batches.plan import Batch, Pipeline, Plan, mixed
from ptrun.draws import Draws
from ptrun.errors import DataError, PtrunError
from ptrun.samples import Split


class StreamedBatches:
    """Workers read, prepare and stack the samples of a batch."""

    def __init__(
        self, split: Split, plan: Plan, pipeline: Pipeline | None, device: torch.device, num_workers: int
    ) -> None:
        self.plan, self.split, self.pipeline, self.device = plan, split, pipeline, device
        self.num_workers = min(num_workers, len(plan))
        self._targets = split.targets
        self._addresses = _Addresses(plan)
        self._loader: Any = torch.utils.data.DataLoader(
            _Reader(split, pipeline, plan.seed),  # type: ignore[arg-type]
            sampler=self._addresses,
            batch_size=None,
            num_workers=self.num_workers,
            worker_init_fn=_calm_worker if self.num_workers else None,
            persistent_workers=self.num_workers > 0 and plan.shuffle,  # kept for training; evaluation is rare
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # keeps the loader's own draw off the global random state
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position `start` on. Raises DataError for a sample that can't be read."""
        self._addresses.epoch, self._addresses.start = epoch, start
        for indices, inputs in self._loader:
            if isinstance(inputs, PtrunError):
                raise inputs
            yield self._finished(indices, inputs.to(self.device, non_blocking=True), epoch)

    def _finished(self, indices: Tensor, inputs: Tensor, epoch: int) -> Batch:
        targets = self._targets[indices].to(self.device, non_blocking=True)
        if self.pipeline is None:
            return Batch(inputs, targets, indices)
        draws = self.plan.draws(epoch, indices)
        if self.pipeline.is_random:
            inputs = self.pipeline.vary_stacked(inputs, draws)
        return mixed(Batch(self.pipeline.finish(inputs), targets, indices), self.pipeline, draws)

    def describe(self) -> str:
        """How the batches are made, in a few words."""
        return (
            f"read from files by {self.num_workers} worker{'s' if self.num_workers != 1 else ''}"
            if self.num_workers
            else "read from files"
        )


class _Addresses:
    """Says to the workers which samples make each batch; `epoch` and `start` are set before each pass."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.epoch, self.start = plan, 0, 0

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        for indices in torch.split(self.plan.order(self.epoch), self.plan.batch_size)[self.start : len(self.plan)]:
            yield self.epoch, indices

    def __len__(self) -> int:
        return max(0, len(self.plan) - self.start)


@dataclass(frozen=True)
class _Reader:
    """Runs in a worker: address of a batch in, indices and stacked inputs (or the error to raise) out."""

    split: Split
    pipeline: Pipeline | None
    seed: int

    def __getitem__(self, address: tuple[int, Tensor]) -> tuple[Tensor, Tensor | PtrunError]:
        epoch, indices = address
        try:
            return indices, self._stack(epoch, indices.tolist())
        except PtrunError as error:
            return indices, error

    def _stack(self, epoch: int, indices: Sequence[int]) -> Tensor:
        samples = [self._sample(epoch, index) for index in indices]
        for index, sample in zip(indices, samples, strict=True):
            if sample.shape != samples[0].shape:
                raise DataError(
                    f"Samples differ in size: {self.split.name(indices[0])} is {list(samples[0].shape)}, {self.split.name(index)} is "
                    f"{list(sample.shape)} [channels, height, width]. Add a step that makes them equal, for example transform=imagenet, "
                    "or `resize` and `center_crop` in your own transform."
                )
        return torch.stack(samples)

    def _sample(self, epoch: int, index: int) -> Tensor:
        sample = self.split.read(index)
        if self.pipeline is None:
            return sample
        sample = self.pipeline.fixed(sample)
        return self.pipeline.vary_single(sample, Draws.of(self.seed, epoch, [index]))


def _calm_worker(worker: int) -> None:
    """Leave the first signal to the main process, which stops at a step boundary; a second one ends the worker too.

    Ignoring SIGTERM for good would hang the exit of a process whose loader was collected as garbage: it waits for its workers.
    """
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _let_pass_once)


def _let_pass_once(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
