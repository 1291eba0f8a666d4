"""Memory that workers and the process that trains share: a batch is left there, and only a few numbers travel.

Invariant: a place is used again only when the process that trains is done with what it held.
The memory has no name, so nothing is left of it however a run ends, and a small /dev/shm, as in Docker, does not matter.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import tempfile
from collections.abc import Sequence
from multiprocessing import reduction
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.errors import ResourceError
from ptrun.rng import Integers

INDEX_BYTES, FLOAT_BYTES = 8, 4
ALIGNED_BYTES = 64  # what the vector instructions of a CPU load at once


class Left(NamedTuple):
    """How a tensor lies in a place; stride and offset in elements."""

    place: int
    dtype: torch.dtype
    shape: Sequence[int]
    stride: Sequence[int]
    offset: int


class Sent(NamedTuple):
    """A tensor that no place is large enough for, with its dimensions in the order of memory, the outermost first."""

    values: NDArray[Any]
    order: Sequence[int]


class Places:
    """Places of one size, each for the indices of a batch and its inputs. They take memory when they are used.

    Raises ResourceError where the system gives none.
    """

    def __init__(self, count: int, most_samples: int, sample_shape: Sequence[int]) -> None:
        self.count = count
        self._index_bytes = _aligned(most_samples * INDEX_BYTES)
        self._num_bytes = self._index_bytes + _aligned(most_samples * math.prod(sample_shape) * FLOAT_BYTES)
        try:
            file = _unnamed_file()
            os.ftruncate(file, count * self._num_bytes)
            self._map(file)
        except OSError as error:
            raise ResourceError(
                f"There is no memory for {count} batches on their way ({count * self._num_bytes / 1e6:,.0f} MB: {error.strerror or error}). "
                "Use a smaller train.batch_size or fewer train.num_workers."
            ) from error

    def ask(self, place: int, indices: Integers) -> None:
        """Write down the indices of a batch."""
        self._indices[place, : len(indices)] = indices

    def asked(self, place: int, count: int) -> Integers:
        """The indices that were written down."""
        return self._indices[place, :count].copy()

    def room(self, place: int, dtype: torch.dtype, shape: Sequence[int]) -> Tensor | None:
        """A tensor in a place, with whatever was left there; None when the place is too small for it."""
        size = math.prod(shape) * dtype.itemsize
        if size > self._num_bytes - self._index_bytes:
            return None
        return self._inputs(place).narrow(0, 0, size).view(dtype).view(tuple(shape))

    def leave(self, place: int, tensor: Tensor) -> Left | Sent:
        """Put a tensor into a place, if it is not there, and say how it is found; it has to be sent when it is too large."""
        if not self.holds(tensor):
            room = self.room(place, tensor.dtype, tensor.shape)
            if room is None:
                order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
                return Sent(tensor.permute(order).numpy(), order)
            # In the tensor's own order in memory: images have their channels innermost.
            tensor = room.as_strided(tensor.shape, torch.empty_like(tensor, device="meta").stride()).copy_(tensor)
        offset = (tensor.data_ptr() - self._inputs(place).data_ptr()) // tensor.dtype.itemsize
        return Left(place, tensor.dtype, tuple(tensor.shape), tensor.stride(), offset)

    def find(self, left: Left | Sent) -> Tensor:
        """What was left in a place, as a view that holds until the place is used again; or what was sent."""
        if isinstance(left, Sent):
            return torch.from_numpy(left.values).permute(np.argsort(left.order).tolist())
        inputs = self._inputs(left.place).view(left.dtype)
        return inputs.as_strided(left.shape, left.stride, int(inputs.storage_offset()) + left.offset)

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is a view of a place."""
        return tensor.untyped_storage().data_ptr() == self._bytes.untyped_storage().data_ptr()

    def __getstate__(self) -> dict[str, Any]:
        """What a process gets that is not forked: the same memory."""
        kept = {name: value for name, value in self.__dict__.items() if name not in ("_bytes", "_indices", "_file")}
        return {**kept, "file": reduction.DupFd(self._file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        file = state.pop("file").detach()
        self.__dict__ |= state
        self._map(file)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def _map(self, file: int) -> None:
        self._file = file
        self._bytes = torch.frombuffer(mmap.mmap(file, self.count * self._num_bytes), dtype=torch.uint8)
        rows = self._bytes.numpy().reshape(self.count, self._num_bytes)
        self._indices: Integers = rows[:, : self._index_bytes].view(np.int64)

    def _inputs(self, place: int) -> Tensor:
        begin = place * self._num_bytes + self._index_bytes
        return self._bytes.narrow(0, begin, self._num_bytes - self._index_bytes)


def _aligned(num_bytes: int) -> int:
    return math.ceil(num_bytes / ALIGNED_BYTES) * ALIGNED_BYTES


def _unnamed_file() -> int:
    """In memory where the system has such files, else in the folder for temporary ones."""
    with contextlib.suppress(AttributeError, OSError):  # an old system, or a sandbox without
        return os.memfd_create("ptrun batches", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
