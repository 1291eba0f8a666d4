"""Batches of a split, resident on the device or streamed by workers, behind one iterator.

Invariant: which samples make batch k of an epoch is a function of (seed, epoch) alone, and how a
sample is augmented a function of (seed, epoch, index); neither touches the global random state.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ptrun.errors import DataError, PtrunError
from ptrun.samples import ResidentSplit, Split, TensorSplit
from ptrun.seeds import mix_seed

MOST_WORKERS = 8  # that num_workers=auto starts
RESIDENT_SHARE = 0.25  # of the device's memory, at most, that one split may take to be kept there


class Batch(NamedTuple):
    """Inputs [n, ...] and targets [n] or [n, num_outputs] on the device, and where they stand in the split."""

    inputs: Tensor
    targets: Tensor
    indices: Tensor


class Pipeline(Protocol):
    """What batches need of an image pipeline (ptrun/transforms.py)."""

    is_random: bool

    def fixed(self, images: Tensor) -> Tensor:
        """Deterministic steps, uint8 to uint8."""
        ...

    def vary(self, image: Tensor, key: tuple[int, int, int]) -> Tensor:
        """Random steps of one sample, uint8 to uint8."""
        ...

    def finish(self, batch: Tensor) -> Tensor:
        """uint8 to normalised float32, a whole batch at once."""
        ...


@dataclass(frozen=True)
class Plan:
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

    def order(self, epoch: int) -> Tensor:
        """Indices of all samples in the order of an epoch."""
        if not self.shuffle:
            return torch.arange(self.num_samples)
        generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch))
        return torch.randperm(self.num_samples, generator=generator)


class Batches(Protocol):
    """Batches of one split."""

    plan: Plan

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
            inputs = inputs.to(self.device, non_blocking=True)
            if self.pipeline is not None:
                inputs = self.pipeline.finish(inputs)
            targets = self._targets[indices].to(self.device, non_blocking=True)
            yield Batch(inputs, targets, indices)

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
        return self.pipeline.vary(sample, (self.seed, epoch, index)) if self.pipeline.is_random else sample


def make_batches(
    split: Split, plan: Plan, pipeline: Pipeline | None, device: torch.device, num_workers: int | str
) -> Batches:
    """Keep the split on the device when it is made of tensors that fit; stream it otherwise. Raises DataError when there is no batch."""
    if len(plan) == 0:
        raise DataError(
            f"The training split has {plan.num_samples} samples, which give no batch of {plan.batch_size}"
            f"{' because train.drop_last leaves out the last, smaller one' if plan.drop_last else ''}. Use a smaller train.batch_size."
        )
    limit = RESIDENT_SHARE * device_memory_bytes(device)
    if isinstance(split, ResidentSplit) and max(split.num_bytes(), _prepared_bytes(split, pipeline)) <= limit:
        return ResidentBatches(_prepared(split, pipeline), plan, pipeline, device)
    workers = min(_usable_cores(), MOST_WORKERS) if isinstance(num_workers, str) else num_workers
    return StreamedBatches(split, plan, pipeline, device, workers)


def _prepared_bytes(split: Split, pipeline: Pipeline | None) -> int:
    """Memory of all samples after the fixed steps, which may enlarge them."""
    return 0 if pipeline is None else pipeline.fixed(split.read(0)).nbytes * len(split)


def _prepared(split: ResidentSplit, pipeline: Pipeline | None) -> ResidentSplit:
    """The split after the fixed steps, which need to be done only once."""
    if pipeline is None or not isinstance(split, TensorSplit):
        return split
    return replace(split, inputs=pipeline.fixed(split.inputs))


def _usable_cores() -> int:
    """Cores that this process may use, which on a shared machine are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_memory_bytes(device: torch.device) -> float:
    """Memory of a device, in bytes; infinite where it can't be asked."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return math.inf


def _calm_worker(worker: int) -> None:
    """Leave signals to the main process, which stops at a step boundary; workers end with it."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
