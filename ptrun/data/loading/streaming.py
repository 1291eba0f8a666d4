"""Batches that worker processes read from files while the model trains.

The bits of a sample depend neither on the number of workers, nor on its batch, nor on where the epoch began.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.data.loading.loader import Batch, BatchSampler, mix_batch
from ptrun.data.loading.shared_memory import InBuffer, Pickled, SharedBuffers
from ptrun.data.loading.worker_pool import PREFETCH_FACTOR, WorkerPool
from ptrun.data.splits import Split, skips_bad_samples
from ptrun.device.capabilities import uses_pinned_memory
from ptrun.errors import DataError
from ptrun.plugins import attribute_plugin_errors
from ptrun.rng import Integers, SampleRng
from ptrun.transforms.pipeline import Pipeline

_OnBad = Literal["stop", "replace", "leave out"]

CHUNK_SAMPLES = 8  # samples in one request when all samples are read in order


class StreamingLoader:
    """Reads samples in workers, which also run the random transforms and stack the batch; the rest is done here.

    sample_shape: shape of most inputs. Buffers are made for it; a larger batch is pickled, which is slower.
    leaves_out_bad: leave out samples that can't be read, so that a batch is smaller or empty.
    """

    def __init__(
        self,
        split: Split,
        sampler: BatchSampler,
        pipeline: Pipeline | None,
        device: torch.device,
        num_workers: int,
        sample_shape: Sequence[int] = (),
        *,
        leaves_out_bad: bool = False,
    ) -> None:
        self.sampler, self.split, self.pipeline, self.device = sampler, split, pipeline, device
        self._leaves_out_bad = leaves_out_bad
        self.num_workers, self._sample_shape = min(num_workers, len(sampler)), sample_shape
        self._targets = split.targets
        # A GPU augments whole batches faster than workers do; on a CPU that trains, workers do it in parallel.
        self._vary_in_workers = self.num_workers > 0 and device.type == "cpu"
        self.bad_samples: dict[int, str] = {}
        self._running: tuple[WorkerPool[_Request, _Result], SharedBuffers] | None = None

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position `start` on. Raises DataError for a sample that can't be read."""
        workers, buffers = self._open()
        for result in workers.imap(self._requests(buffers, epoch, start)):
            self.bad_samples |= result.bad_samples
            yield self._finished(result, buffers)
        if not self.sampler.shuffle:  # Workers stay alive between training epochs; evaluation is rare.
            self.close()

    def _open(self) -> tuple[WorkerPool[_Request, _Result], SharedBuffers]:
        """The workers and the buffers, which are created by the first call."""
        if self._running is None:
            # A buffer for each batch that workers prepare, and one for the batch that is being finished.
            count = PREFETCH_FACTOR * self.num_workers + 1
            buffers = SharedBuffers(count, self.sampler.size(0), self._sample_shape)
            on_bad: _OnBad = "replace" if self.sampler.shuffle and skips_bad_samples(self.split) else "stop"
            if self._leaves_out_bad:
                on_bad = "leave out"
            reader = _Reader(self.split, self.pipeline, self.sampler, on_bad, self._vary_in_workers, buffers)
            self._running = WorkerPool(reader, self.num_workers, self.sampler.seed), buffers
        return self._running

    def _requests(self, buffers: SharedBuffers, epoch: int, start: int) -> Iterator[_Request]:
        batches = torch.split(self.sampler.order(epoch), self.sampler.batch_size)[start : len(self.sampler)]
        for buffer, indices in zip(itertools.cycle(range(buffers.count)), batches, strict=False):
            buffers.write_indices(buffer, indices.numpy())
            yield _Request(epoch, buffer, len(indices))

    def _finished(self, result: _Result, buffers: SharedBuffers) -> Batch:
        """The batch of a result, on the device, after the rest of the pipeline."""
        epoch, buffer, count = result.request
        is_gpu = uses_pinned_memory(self.device)
        inputs = buffers.get(result.inputs)
        inputs = (inputs.pin_memory() if is_gpu else inputs).to(self.device, non_blocking=is_gpu)
        indices = torch.from_numpy(buffers.read_indices(buffer, count) if result.indices is None else result.indices)
        targets = self._targets[indices].to(self.device, non_blocking=is_gpu)
        batch = Batch(inputs, targets, indices)
        if self.pipeline is not None and len(indices):
            batch = self._after_pipeline(self.pipeline, batch, self.sampler.rng(epoch, indices))
        # Workers will write to the buffer again, so inputs that are still in it are copied.
        return batch._replace(inputs=batch.inputs.clone()) if buffers.holds(batch.inputs) else batch

    def _after_pipeline(self, pipeline: Pipeline, batch: Batch, rng: SampleRng) -> Batch:
        inputs = batch.inputs
        if pipeline.is_random and not self._vary_in_workers:
            inputs = pipeline.vary_stacked(inputs, rng)
        with one_thread():
            inputs = pipeline.finish(inputs)
        return mix_batch(batch._replace(inputs=inputs), pipeline, rng)

    def close(self) -> None:
        """End the workers. The next epoch starts new ones."""
        if self._running is not None:
            self._running[0].close()
        self._running = None

    def describe(self) -> str:
        """How the batches are made, in a few words."""
        if not self.num_workers:
            return "read from files"
        return f"read from files by {self.num_workers} worker{'s' if self.num_workers != 1 else ''}"


def read_in_order(split: Split, num_workers: int) -> Iterator[Tensor]:
    """All samples of a split once, read by workers. Raises DataError for one that can't be read."""
    chunks = [range(begin, min(begin + CHUNK_SAMPLES, len(split))) for begin in range(0, len(split), CHUNK_SAMPLES)]
    workers = WorkerPool(_ChunkReader(split), min(num_workers, len(chunks)))
    try:
        for samples in workers.imap(chunks):
            yield from map(torch.from_numpy, samples)
    finally:
        workers.close()


@dataclass(frozen=True)
class _ChunkReader:
    """Runs in a worker: indices in, their samples out."""

    split: Split

    def __call__(self, indices: range) -> list[NDArray[Any]]:
        # A plugin's error is explained here, because its traceback does not leave the worker.
        with one_thread(), attribute_plugin_errors():
            return [self.split.read(index).numpy() for index in indices]


class _Request(NamedTuple):
    """A batch to read: its `num_samples` indices are in a buffer."""

    epoch: int
    buffer: int
    num_samples: int


class _Result(NamedTuple):
    """The stacked inputs of a batch.

    indices: those of the samples that could be read; None when these are all that the request names.
    bad_samples: index and reason of each sample that was left out.
    """

    request: _Request
    inputs: InBuffer | Pickled
    indices: Integers | None
    bad_samples: dict[int, str]


@dataclass(frozen=True)
class _Reader:
    """Runs in a worker: a request in, its result out.

    on_bad: what happens to samples that can't be read: raise; leave them out; or leave them out, but put the next
        readable sample in the place of a batch that would be empty.
    varies_stacked: run the random transforms of whole batches here too.
    """

    split: Split
    pipeline: Pipeline | None
    sampler: BatchSampler
    on_bad: _OnBad
    varies_stacked: bool
    buffers: SharedBuffers

    def __call__(self, request: _Request) -> _Result:
        epoch, buffer, count = request
        # A plugin's error is explained here, because its traceback does not leave the worker.
        with one_thread(), attribute_plugin_errors():
            indices = self.buffers.read_indices(buffer, count)
            samples, bad = self._samples(epoch, indices)
            readable = np.array(list(samples), np.int64) if bad else indices
            if not samples:
                return _Result(request, Pickled(np.zeros(0, np.uint8), [0]), readable, bad)
            inputs = self._stack(list(samples), list(samples.values()), buffer)
            if self.varies_stacked and self.pipeline is not None:
                inputs = self.pipeline.vary_stacked(inputs, self.sampler.rng(epoch, torch.from_numpy(readable)))
            return _Result(request, self.buffers.put(buffer, inputs), readable if bad else None, bad)

    def _samples(self, epoch: int, indices: Integers) -> tuple[dict[int, Tensor], dict[int, str]]:
        """Samples by index, and the reasons for those that can't be read."""
        samples: dict[int, Tensor] = {}
        bad: dict[int, str] = {}
        rng = self.sampler.rng(epoch, torch.from_numpy(indices))
        for row, index in enumerate(indices.tolist()):
            try:
                samples[index] = self._sample(index, rng[row : row + 1])
            except DataError as error:
                if self.on_bad == "stop":
                    raise
                bad[index] = str(error)
        if samples or self.on_bad == "leave out":
            return samples, bad
        return self._next_readable(epoch, int(indices[-1])), bad

    def _next_readable(self, epoch: int, index: int) -> dict[int, Tensor]:
        """The first readable sample after `index`, to replace a batch in which no sample can be read."""
        for distance in range(1, len(self.split)):
            candidate = (index + distance) % len(self.split)
            with contextlib.suppress(DataError):
                return {candidate: self._sample(candidate, SampleRng.of(self.sampler.seed, epoch, [candidate]))}
        raise DataError("dataset: no training sample can be read. Check the files.")

    def _sample(self, index: int, rng: SampleRng) -> Tensor:
        """One sample after the random transforms of single images; `rng` has one row."""
        sample = self.split.read(index)
        if self.pipeline is None or not self.pipeline.is_random:
            return sample
        return self.pipeline.vary_single(sample, rng)

    def _stack(self, indices: Sequence[int], samples: list[Tensor], buffer: int) -> Tensor:
        """Stack samples of one shape, straight into the buffer if they fit."""
        self._check_one_shape(indices, samples)
        shape = samples[0].shape
        # Decoders give images with their channels innermost. torch.stack copies them row by row in that order, which
        # is faster than reordering every pixel.
        channels_last = len(shape) == 3 and samples[0].stride(0) == 1
        if channels_last:
            samples = [sample.permute(1, 2, 0) for sample in samples]
        target = self.buffers.empty(buffer, samples[0].dtype, (len(samples), *samples[0].shape))
        stacked = torch.stack(samples) if target is None else torch.stack(samples, out=target)
        return stacked.permute(0, 3, 1, 2) if channels_last else stacked

    def _check_one_shape(self, indices: Sequence[int], samples: Sequence[Tensor]) -> None:
        """Raise DataError naming two samples of different shapes."""
        shape = samples[0].shape
        for index, sample in zip(indices, samples, strict=True):
            if sample.shape != shape:
                raise DataError(
                    f"Samples differ in size: {self.split.name(indices[0])} is {list(shape)}, {self.split.name(index)} "
                    f"is {list(sample.shape)} [channels, height, width]. Add an image transform that makes them equal, "
                    "for example transform=imagenet, or `resize` and `center_crop` in your own transform."
                )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in this thread alone.

    One image is too little work to share: a second thread waits for a task of a few microseconds, spinning, on a core
    that workers or other processes need (measured on two busy cores: 28 ms for an image instead of 2).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
