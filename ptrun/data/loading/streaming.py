"""Batches of data that worker processes read when they are needed.

Invariant: the bits of a sample do not depend on the number of workers, the batch it is in, or where the epoch began.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.data.loading.loader import Batch, BatchSampler, Pipeline, mixed
from ptrun.data.loading.shared_memory import Left, Places, Sent
from ptrun.data.loading.worker_pool import AHEAD, Workers
from ptrun.data.splits import Split, skips_bad_samples
from ptrun.errors import DataError
from ptrun.plugins import attribute_plugin_errors
from ptrun.rng import Integers, SampleRng

READ_AT_ONCE = 8  # samples that a worker reads for one answer when all are read in order


class StreamingLoader:
    """Workers read, prepare and stack the samples of a batch; the split gives them after the fixed transforms.

    sample_shape: of most inputs; larger ones reach this process by a slower way.
    """

    def __init__(
        self,
        split: Split,
        sampler: BatchSampler,
        pipeline: Pipeline | None,
        device: torch.device,
        num_workers: int,
        sample_shape: Sequence[int] = (),
    ) -> None:
        self.sampler, self.split, self.pipeline, self.device = sampler, split, pipeline, device
        self.num_workers, self._sample_shape = min(num_workers, len(sampler)), sample_shape
        self._targets = split.targets
        # A GPU varies whole batches in no time; beside a CPU that trains, it is work for the workers.
        self._vary_early = self.num_workers > 0 and device.type == "cpu"
        self.bad_samples: dict[int, str] = {}
        self._running: tuple[Workers[_Request, _Answer], Places] | None = None

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position `start` on. Raises DataError for a sample that can't be read."""
        workers, places = self._open()
        for answer in workers.answers(self._requests(places, epoch, start)):
            self.bad_samples |= answer.bad
            yield self._finished(answer, places)
        if not self.sampler.shuffle:  # workers are kept for training; evaluation is rare
            self.close()

    def _open(self) -> tuple[Workers[_Request, _Answer], Places]:
        if self._running is None:
            # One place for each batch that is on its way, and one for that which is being finished.
            places = Places(AHEAD * self.num_workers + 1, self.sampler.size(0), self._sample_shape)
            skips = self.sampler.shuffle and skips_bad_samples(self.split)
            reader = _Reader(self.split, self.pipeline, self.sampler, skips, self._vary_early, places)
            self._running = Workers(reader, self.num_workers, self.sampler.seed), places
        return self._running

    def _requests(self, places: Places, epoch: int, start: int) -> Iterator[_Request]:
        order = torch.split(self.sampler.order(epoch), self.sampler.batch_size)[start : len(self.sampler)]
        for place, indices in zip(itertools.cycle(range(places.count)), order, strict=False):
            places.ask(place, indices.numpy())
            yield _Request(epoch, place, len(indices))

    def _finished(self, answer: _Answer, places: Places) -> Batch:
        epoch, place, count = answer.request
        is_gpu = self.device.type == "cuda"
        inputs = places.find(answer.inputs)
        inputs = (inputs.pin_memory() if is_gpu else inputs).to(self.device, non_blocking=is_gpu)
        indices = torch.from_numpy(places.asked(place, count) if answer.kept is None else answer.kept)
        targets = self._targets[indices].to(self.device, non_blocking=is_gpu)
        batch = Batch(inputs, targets, indices)
        if self.pipeline is not None:
            batch = self._through(self.pipeline, batch, self.sampler.draws(epoch, indices))
        return batch._replace(inputs=batch.inputs.clone()) if places.holds(batch.inputs) else batch

    def _through(self, pipeline: Pipeline, batch: Batch, draws: SampleRng) -> Batch:
        inputs = batch.inputs
        if pipeline.is_random and not self._vary_early:
            inputs = pipeline.vary_stacked(inputs, draws)
        with _one_thread():
            inputs = pipeline.finish(inputs)
        return mixed(batch._replace(inputs=inputs), pipeline, draws)

    def close(self) -> None:
        """End the workers; they are started again when they are needed."""
        if self._running is not None:
            self._running[0].close()
        self._running = None

    def describe(self) -> str:
        """How the batches are made, in a few words."""
        return (
            f"read from files by {self.num_workers} worker{'s' if self.num_workers != 1 else ''}"
            if self.num_workers
            else "read from files"
        )


def read_in_order(split: Split, num_workers: int) -> Iterator[Tensor]:
    """All samples once, read by workers. Raises DataError for one that can't be read."""
    chunks = [range(at, min(at + READ_AT_ONCE, len(split))) for at in range(0, len(split), READ_AT_ONCE)]
    workers = Workers(_InOrder(split), min(num_workers, len(chunks)))
    try:
        for samples in workers.answers(chunks):
            yield from map(torch.from_numpy, samples)
    finally:
        workers.close()


@dataclass(frozen=True)
class _InOrder:
    """Runs in a worker: indices in, their samples out."""

    split: Split

    def __call__(self, indices: range) -> list[NDArray[Any]]:
        with _one_thread(), attribute_plugin_errors():  # here, where the traceback is
            return [self.split.read(index).numpy() for index in indices]


class _Request(NamedTuple):
    """A batch of an epoch, of that many samples, whose indices are in a place."""

    epoch: int
    place: int
    num_samples: int


class _Answer(NamedTuple):
    """The stacked inputs of a batch; where samples are left out, their reasons, and the indices of those that are not."""

    request: _Request
    inputs: Left | Sent
    kept: Integers | None
    bad: dict[int, str]


@dataclass(frozen=True)
class _Reader:
    """Runs in a worker: a request in, its answer out.

    skips: whether samples that can't be read are left out.
    varies_stacked: whether the random transforms of whole batches are done here too.
    """

    split: Split
    pipeline: Pipeline | None
    sampler: BatchSampler
    skips: bool
    varies_stacked: bool
    places: Places

    def __call__(self, request: _Request) -> _Answer:
        epoch, place, count = request
        with _one_thread(), attribute_plugin_errors():  # here, where the traceback is
            indices = self.places.asked(place, count)
            samples, bad = self._samples(epoch, indices)
            kept = np.array(list(samples)) if bad else indices
            inputs = self._stack(list(samples), list(samples.values()), place)
            if self.varies_stacked and self.pipeline is not None:
                inputs = self.pipeline.vary_stacked(inputs, self.sampler.draws(epoch, torch.from_numpy(kept)))
            return _Answer(request, self.places.leave(place, inputs), kept if bad else None, bad)

    def _samples(self, epoch: int, indices: Integers) -> tuple[dict[int, Tensor], dict[int, str]]:
        """The samples by their indices, and the reasons of those that can't be read."""
        samples: dict[int, Tensor] = {}
        bad: dict[int, str] = {}
        draws = self.sampler.draws(epoch, torch.from_numpy(indices))
        for row, index in enumerate(indices.tolist()):
            try:
                samples[index] = self._sample(index, draws, row)
            except DataError as error:
                if not self.skips:
                    raise
                bad[index] = str(error)
        return samples or self._next_readable(epoch, int(indices[-1])), bad

    def _next_readable(self, epoch: int, index: int) -> dict[int, Tensor]:
        """The next sample that can be read, which stands in for a batch of which nothing is left."""
        for step in range(1, len(self.split)):
            candidate = (index + step) % len(self.split)
            with contextlib.suppress(DataError):
                return {candidate: self._sample(candidate, SampleRng.of(self.sampler.seed, epoch, [candidate]), 0)}
        raise DataError("dataset: no training sample can be read. Check the files.")

    def _stack(self, indices: Sequence[int], samples: list[Tensor], place: int) -> Tensor:
        shape = samples[0].shape
        for index, sample in zip(indices, samples, strict=True):
            if sample.shape != shape:
                raise DataError(
                    f"Samples differ in size: {self.split.name(indices[0])} is {list(shape)}, {self.split.name(index)} is "
                    f"{list(sample.shape)} [channels, height, width]. Add an image transform that makes them equal, for example transform=imagenet, "
                    "or `resize` and `center_crop` in your own transform."
                )
        by_pixel = len(shape) == 3 and samples[0].stride(0) == 1
        if by_pixel:  # as decoders leave images: kept so, they are copied row by row
            samples = [sample.permute(1, 2, 0) for sample in samples]
        room = self.places.room(place, samples[0].dtype, (len(samples), *samples[0].shape))
        stacked = torch.stack(samples) if room is None else torch.stack(samples, out=room)
        return stacked.permute(0, 3, 1, 2) if by_pixel else stacked

    def _sample(self, index: int, draws: SampleRng, row: int) -> Tensor:
        """One sample, which has this row of the draws."""
        sample = self.split.read(index)
        if self.pipeline is None or not self.pipeline.is_random:
            return sample
        return self.pipeline.vary_single(sample, draws[row : row + 1])


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Inside, torch computes in this thread alone, as it does in workers.

    One image is too little to share: the second thread waits, spinning, for work of a few microseconds, on a core that
    the workers or the neighbours need (measured on two busy cores: 28 ms an image instead of 2).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
