"""A tensor comes out of a buffer as it was put in; what does not fit is pickled."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import torch

from ptrun.data.loading import shared_memory
from ptrun.data.loading.shared_memory import InBuffer, Pickled, SharedBuffers
from ptrun.errors import ResourceError

TENSORS = {
    "contiguous": torch.rand(2, 3, 4, 5),
    "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "uint8, four times as many": torch.randint(0, 256, (2, 3, 8, 10), dtype=torch.uint8),
    "strided": torch.rand(2, 3, 8, 10)[:, :, ::2, ::2],
}


@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS.keys())
def test_a_tensor_that_fits_keeps_values_and_memory_format(tensor: torch.Tensor):
    buffers = SharedBuffers(3, 2, (3, 4, 5))
    buffers.write_indices(1, np.array([7, 9]))
    stored = buffers.put(1, tensor)
    assert isinstance(stored, InBuffer)
    view = buffers.get(stored)
    assert torch.equal(view, tensor)
    assert buffers.holds(view)
    assert not buffers.holds(tensor)
    if tensor.is_contiguous(memory_format=torch.channels_last):
        assert view.is_contiguous(memory_format=torch.channels_last)
    assert buffers.read_indices(1, 2).tolist() == [7, 9]


def test_a_view_of_a_buffer_is_not_copied():
    buffers = SharedBuffers(2, 2, (6,))
    tensor = torch.rand(2, 6)
    view = buffers.get(buffers.put(1, tensor))
    part = buffers.put(1, view[1:])
    assert isinstance(part, InBuffer)
    assert part.offset == 6
    assert buffers.get(part).data_ptr() == view[1:].data_ptr()
    assert torch.equal(buffers.get(part), tensor[1:])


def test_buffers_do_not_overlap():
    buffers = SharedBuffers(3, 2, (5,))
    tensors = [torch.full((2, 5), float(number)) for number in range(3)]
    stored = [buffers.put(number, tensor) for number, tensor in enumerate(tensors)]
    for number in range(3):
        buffers.write_indices(number, np.array([number, number]))
    assert all(torch.equal(buffers.get(s), tensor) for s, tensor in zip(stored, tensors, strict=True))
    assert [buffers.read_indices(number, 2).tolist() for number in range(3)] == [[0, 0], [1, 1], [2, 2]]


def test_a_tensor_that_is_too_large_is_pickled_in_the_order_of_memory():
    buffers = SharedBuffers(1, 2, (3, 4, 5))
    large = torch.rand(2, 3, 4, 6).to(memory_format=torch.channels_last)
    assert buffers.empty(0, large.dtype, large.shape) is None
    stored = buffers.put(0, large)
    assert isinstance(stored, Pickled)
    assert stored.values.flags.c_contiguous
    restored = buffers.get(pickle.loads(pickle.dumps(stored)))
    assert torch.equal(restored, large)
    assert restored.stride() == large.stride()


def test_no_memory_is_an_error_that_says_what_to_change(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(ResourceError, match=r"5 batches .*\(640 bytes: No space left on device\).*train\.batch_size"):
        SharedBuffers(5, 2, (3,))


def test_without_files_in_memory_a_temporary_file_is_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(shared_memory.os, "memfd_create")
    buffers = SharedBuffers(2, 2, (3,))
    assert torch.equal(buffers.get(buffers.put(1, torch.ones(2, 3))), torch.ones(2, 3))


def test_descriptors_are_closed_with_the_buffers():
    before = len(os.listdir("/dev/fd"))
    buffers = SharedBuffers(2, 2, (3,))
    assert len(os.listdir("/dev/fd")) > before
    del buffers
    assert len(os.listdir("/dev/fd")) == before
