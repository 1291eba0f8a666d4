"""Buffers in memory that workers share with the training process, so that a batch need not travel through a pipe.

torch's DataLoader sends a handle of each batch through an authenticated connection, which takes 1 to 1.7 ms of the
training process; here a few numbers are sent that say where the batch is. The memory is a file without a name:
nothing of it stays however a run ends, and a small /dev/shm, as in Docker, does not matter.
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
from ptrun.terminal.format import format_bytes

INDEX_BYTES, FLOAT_BYTES = 8, 4
ALIGNMENT_BYTES = 64  # a cache line, and the widest vector register of a CPU


class InBuffer(NamedTuple):
    """Where a tensor is in a buffer, and its layout; stride and offset in elements."""

    buffer: int
    dtype: torch.dtype
    shape: Sequence[int]
    stride: Sequence[int]
    offset: int


class Pickled(NamedTuple):
    """A tensor that is too large for a buffer: its dimensions in the order of memory, and their order in the tensor."""

    values: NDArray[Any]
    order: Sequence[int]


class SharedBuffers:
    """Numbered buffers of one size, each for the indices and the inputs of one batch.

    The system gives them memory when they are first written. Whoever writes to a buffer has to know that its last
    batch is no longer used. Raises ResourceError when the system gives no memory.
    """

    def __init__(self, count: int, max_samples: int, sample_shape: Sequence[int]) -> None:
        self.count = count
        self._index_bytes = _aligned(max_samples * INDEX_BYTES)
        self._buffer_bytes = self._index_bytes + _aligned(max_samples * math.prod(sample_shape) * FLOAT_BYTES)
        try:
            file = _unnamed_file()
            os.ftruncate(file, count * self._buffer_bytes)
            self._map(file)
        except OSError as error:
            size = format_bytes(count * self._buffer_bytes)
            raise ResourceError(
                f"There is no memory for {count} batches that workers prepare ({size}: "
                f"{error.strerror or error}). Use a smaller train.batch_size or fewer train.num_workers."
            ) from error

    def write_indices(self, buffer: int, indices: Integers) -> None:
        """Store the indices of a batch."""
        self._indices[buffer, : len(indices)] = indices

    def read_indices(self, buffer: int, count: int) -> Integers:
        """A copy of the first `count` indices that were stored."""
        return self._indices[buffer, :count].copy()

    def empty(self, buffer: int, dtype: torch.dtype, shape: Sequence[int]) -> Tensor | None:
        """A tensor in a buffer with undefined values, as torch.empty gives it; None when the buffer is too small."""
        size = math.prod(shape) * dtype.itemsize
        if size > self._buffer_bytes - self._index_bytes:
            return None
        return self._inputs(buffer).narrow(0, 0, size).view(dtype).view(tuple(shape))

    def put(self, buffer: int, tensor: Tensor) -> InBuffer | Pickled:
        """Copy a tensor into a buffer, unless it is in it already, and return what `get` needs to find it.

        A tensor that is too large is returned itself, to be pickled.
        """
        if not self.holds(tensor):
            target = self.empty(buffer, tensor.dtype, tensor.shape)
            if target is None:
                order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
                return Pickled(tensor.permute(order).numpy(), order)
            # In the tensor's own order in memory: images have their channels innermost.
            tensor = target.as_strided(tensor.shape, torch.empty_like(tensor, device="meta").stride()).copy_(tensor)
        offset = (tensor.data_ptr() - self._inputs(buffer).data_ptr()) // tensor.dtype.itemsize
        return InBuffer(buffer, tensor.dtype, tuple(tensor.shape), tensor.stride(), offset)

    def get(self, stored: InBuffer | Pickled) -> Tensor:
        """The tensor that was put into a buffer, as a view that is valid until the buffer is written again."""
        if isinstance(stored, Pickled):
            return torch.from_numpy(stored.values).permute(np.argsort(stored.order).tolist())
        inputs = self._inputs(stored.buffer).view(stored.dtype)
        return inputs.as_strided(stored.shape, stored.stride, int(inputs.storage_offset()) + stored.offset)

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is a view of a buffer."""
        return tensor.untyped_storage().data_ptr() == self._bytes.untyped_storage().data_ptr()

    def __getstate__(self) -> dict[str, Any]:
        """What a spawned worker gets: a descriptor of the same file, which it maps itself."""
        mapped = ("_bytes", "_indices", "_file")
        state = {name: value for name, value in self.__dict__.items() if name not in mapped}
        return {**state, "file": reduction.DupFd(self._file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        file = state.pop("file").detach()
        self.__dict__ |= state
        self._map(file)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def _map(self, file: int) -> None:
        self._file = file
        self._bytes = torch.frombuffer(mmap.mmap(file, self.count * self._buffer_bytes), dtype=torch.uint8)
        rows = self._bytes.numpy().reshape(self.count, self._buffer_bytes)
        self._indices: Integers = rows[:, : self._index_bytes].view(np.int64)

    def _inputs(self, buffer: int) -> Tensor:
        begin = buffer * self._buffer_bytes + self._index_bytes
        return self._bytes.narrow(0, begin, self._buffer_bytes - self._index_bytes)


def _aligned(num_bytes: int) -> int:
    return math.ceil(num_bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _unnamed_file() -> int:
    """Descriptor of a file in memory, or in the folder for temporary files where the system has none in memory."""
    with contextlib.suppress(AttributeError, OSError):  # an old system, or a sandbox that forbids it
        return os.memfd_create("ptrun batches", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
