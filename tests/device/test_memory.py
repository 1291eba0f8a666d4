"""The memory of a device, in bytes."""

from __future__ import annotations

import torch

from ptrun.device.memory import device_memory_bytes, release_memory


def test_the_memory_of_the_machine_holds_this_process():
    assert device_memory_bytes(torch.device("cpu")) > 2**28
    release_memory()  # without a GPU nothing happens
