"""Batches of data that worker processes read when they are needed.

Invariant: the bits of a sample do not depend on the number of workers, the batch it is in, or where the epoch began.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import signal
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptrun.batches.plan import Batch, Pipeline, Plan, mixed
from ptrun.draws import Draws, Integers
from ptrun.errors import DataError, PtrunError, ResourceError
from ptrun.plugins import blamed
from ptrun.samples import Split, skips_bad_samples

READ_AT_ONCE = 8  # samples that a worker reads for one answer when all are read in order


class StreamedBatches:
    """Workers read, prepare and stack the samples of a batch; the split gives them after the fixed steps."""

    def __init__(
        self, split: Split, plan: Plan, pipeline: Pipeline | None, device: torch.device, num_workers: int
    ) -> None:
        self.plan, self.split, self.pipeline, self.device = plan, split, pipeline, device
        self.num_workers = min(num_workers, len(plan))
        self._targets = split.targets
        # A GPU varies whole batches in no time; beside a CPU that trains, it is work for the workers.
        self._vary_early = self.num_workers > 0 and device.type == "cpu"
        self.bad_samples: dict[int, str] = {}
        self._addresses = _Addresses(plan)
        self._running: Any = None
        _OPEN.add(self)
        self._loader: Any = torch.utils.data.DataLoader(
            _Reader(split, pipeline, plan, plan.shuffle and skips_bad_samples(split), self._vary_early),  # type: ignore[arg-type]
            sampler=self._addresses,
            batch_size=None,
            collate_fn=_as_it_is,  # torch's own would make tensors of the indices
            num_workers=self.num_workers,
            worker_init_fn=_calm_worker if self.num_workers else None,
            persistent_workers=self.num_workers > 0 and plan.shuffle,  # kept for training; evaluation is rare
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # keeps the loader's own draw off the global random state
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position `start` on. Raises DataError for a sample that can't be read."""
        self._addresses.epoch, self._addresses.start = epoch, start
        for indices, inputs, bad in _guarded(self._begin):
            if isinstance(inputs, PtrunError):
                raise inputs
            self.bad_samples |= bad
            yield self._finished(torch.from_numpy(indices), inputs.to(self.device, non_blocking=True), epoch)

    def _begin(self) -> Iterator[Any]:
        self._running = iter(self._loader)
        running: Iterator[Any] = self._running
        return running

    def _finished(self, indices: Tensor, inputs: Tensor, epoch: int) -> Batch:
        targets = self._targets[indices].to(self.device, non_blocking=True)
        if self.pipeline is None:
            return Batch(inputs, targets, indices)
        draws = self.plan.draws(epoch, indices)
        if self.pipeline.is_random and not self._vary_early:
            inputs = self.pipeline.vary_stacked(inputs, draws)
        with _one_thread():
            inputs = self.pipeline.finish(inputs)
        return mixed(Batch(inputs, targets, indices), self.pipeline, draws)

    def close(self) -> None:
        """End the workers; they are started again when they are needed."""
        running, self._running = self._running, None
        end = getattr(running, "_shutdown_workers", None)  # torch's own way; it has no public one
        if end is not None:
            end()

    def describe(self) -> str:
        """How the batches are made, in a few words."""
        return (
            f"read from files by {self.num_workers} worker{'s' if self.num_workers != 1 else ''}"
            if self.num_workers
            else "read from files"
        )


# Python ends daemon processes by SIGTERM when it exits, which workers let pass once; so they are ended before.
_OPEN: weakref.WeakSet[StreamedBatches] = weakref.WeakSet()


def _close_all() -> None:
    for batches in list(_OPEN):
        batches.close()


atexit.register(_close_all)


class _Addresses:
    """Says to the workers which samples make each batch; `epoch` and `start` are set before each pass.

    Indices travel as NumPy arrays, which are copied; each tensor would be shared memory that is opened by a handshake.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.epoch, self.start = plan, 0, 0

    def __iter__(self) -> Iterator[tuple[int, Integers]]:
        for indices in torch.split(self.plan.order(self.epoch), self.plan.batch_size)[self.start : len(self.plan)]:
            yield self.epoch, indices.numpy()

    def __len__(self) -> int:
        return max(0, len(self.plan) - self.start)


def read_in_order(split: Split, num_workers: int) -> Iterator[Tensor]:
    """All samples once, read by workers. Raises DataError for one that can't be read."""
    chunks = torch.split(torch.arange(len(split)), READ_AT_ONCE)
    loader: Any = torch.utils.data.DataLoader(
        _InOrder(split),  # type: ignore[arg-type]
        sampler=chunks,
        batch_size=None,
        num_workers=min(num_workers, len(chunks)),
        worker_init_fn=_calm_worker if num_workers else None,
        generator=torch.Generator(),
    )
    for samples in _guarded(lambda: iter(loader)):
        if isinstance(samples, PtrunError):
            raise samples
        yield from samples


@dataclass(frozen=True)
class _InOrder:
    """Runs in a worker: indices in, their samples (or the error to raise) out."""

    split: Split

    def __getitem__(self, indices: Tensor) -> list[Tensor] | PtrunError:
        try:
            with blamed():  # here, where the traceback is
                return [self.split.read(index) for index in indices.tolist()]
        except PtrunError as error:
            return error


_SHM_FULL = "shared memory (/dev/shm) is full. Make it larger (docker run --shm-size=8g), or use fewer train.num_workers or a smaller train.batch_size"
_DEATHS: list[str] = []  # what torch says of workers that died


def _note_deaths() -> None:
    """Keep torch's words on a worker that died: it raises them from a signal handler, wherever this process happens to be.

    The loader finds the death too, within five seconds, but not its cause.
    """
    if not hasattr(signal, "SIGCHLD"):
        return
    raising: Any = signal.getsignal(signal.SIGCHLD)
    if not callable(raising) or getattr(raising, "__module__", "") == __name__:
        return

    def note(number: int, frame: Any) -> None:
        try:
            raising(number, frame)
        except RuntimeError as error:
            _DEATHS.append(str(error))

    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGCHLD, note)


def _guarded(begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """What the loader gives; a worker that died is told in a sentence, when a batch of its own is asked for."""
    try:
        batches = begin()
        _note_deaths()
        yield from batches
    except (ConnectionError, EOFError) as error:  # a finished batch is fetched from the worker that holds it
        raise _death(str(error)) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _forget_half_made(error)
        raise ResourceError(f"The data workers can't be started: {_SHM_FULL}.") from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise _death(str(error)) from error


def _forget_half_made(error: BaseException) -> None:
    """Keep an iterator of torch that failed while it was made from printing, when it is collected, that it can't be shut down."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        made: Any = frame.f_locals.get("self")
        if type(made).__name__ == "_MultiProcessingDataLoaderIter" and not hasattr(made, "_shutdown"):
            made._shutdown = True


def _death(text: str) -> ResourceError:
    """A worker that died, as a sentence with the likely cause; `text` is what showed it, torch's own words count more."""
    text = _DEATHS.pop() if _DEATHS else text
    if "bus error" in text.lower() or "shared memory" in text.lower():
        reason = _SHM_FULL
    else:
        reason = "it was killed, most likely by the system because memory ran out. Use fewer train.num_workers or a smaller train.batch_size (train.num_workers=0 shows whether it is the data)"
    return ResourceError(f"A data worker died: {reason}.")


@dataclass(frozen=True)
class _Reader:
    """Runs in a worker: address of a batch in; indices, stacked inputs (or the error to raise) and samples left out, with reasons, out.

    varies_stacked: whether the random steps of whole batches are done here too.
    """

    split: Split
    pipeline: Pipeline | None
    plan: Plan
    skips: bool
    varies_stacked: bool

    def __getitem__(self, address: tuple[int, Integers]) -> tuple[Integers, Tensor | PtrunError, dict[int, str]]:
        try:
            with _one_thread(), blamed():  # here, where the traceback is
                return self._batch(*address)
        except PtrunError as error:
            return address[1], error, {}

    def _batch(self, epoch: int, indices: Integers) -> tuple[Integers, Tensor, dict[int, str]]:
        samples: dict[int, Tensor] = {}
        bad: dict[int, str] = {}
        draws = self.plan.draws(epoch, torch.from_numpy(indices))
        for row, index in enumerate(indices.tolist()):
            try:
                samples[index] = self._sample(index, draws[row : row + 1])
            except DataError as error:
                if not self.skips:
                    raise
                bad[index] = str(error)
        if not samples:
            samples = self._next_readable(epoch, int(indices[-1]))
        kept = np.array(list(samples)) if bad else indices
        inputs = self._stack(list(samples), list(samples.values()))
        if self.varies_stacked and self.pipeline is not None:
            inputs = self.pipeline.vary_stacked(inputs, self.plan.draws(epoch, torch.from_numpy(kept)))
        return kept, inputs, bad

    def _next_readable(self, epoch: int, index: int) -> dict[int, Tensor]:
        """The next sample that can be read, which stands in for a batch of which nothing is left."""
        for step in range(1, len(self.split)):
            candidate = (index + step) % len(self.split)
            with contextlib.suppress(DataError):
                return {candidate: self._sample(candidate, Draws.of(self.plan.seed, epoch, [candidate]))}
        raise DataError("dataset: no training sample can be read. Check the files.")

    def _stack(self, indices: Sequence[int], samples: list[Tensor]) -> Tensor:
        for index, sample in zip(indices, samples, strict=True):
            if sample.shape != samples[0].shape:
                raise DataError(
                    f"Samples differ in size: {self.split.name(indices[0])} is {list(samples[0].shape)}, {self.split.name(index)} is "
                    f"{list(sample.shape)} [channels, height, width]. Add a step that makes them equal, for example transform=imagenet, "
                    "or `resize` and `center_crop` in your own transform."
                )
        # torch's own function stacks straight into the memory that a worker shares with the process that it works for.
        stack: Callable[[list[Tensor]], Tensor] = torch.utils.data.default_collate
        if samples[0].dim() != 3:
            return stack(samples)
        # Images come ordered by pixel; stacked as such they are copied row by row.
        return stack([sample.permute(1, 2, 0) for sample in samples]).permute(0, 3, 1, 2)

    def _sample(self, index: int, draws: Draws) -> Tensor:
        sample = self.split.read(index)
        return sample if self.pipeline is None else self.pipeline.vary_single(sample, draws)


def _as_it_is(answer: Any) -> Any:
    return answer


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


def _calm_worker(worker: int) -> None:
    """Leave the first signal to the main process, which stops at a step boundary; a second one ends the worker too.

    Ignoring SIGTERM for good would hang the exit of a process whose loader was collected as garbage: it waits for its workers.
    """
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _let_pass_once)


def _let_pass_once(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
