"""A caller's random numbers, threads and default dtype are the same after a run, also after one that failed."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ptrun.device.caller_state import preserve_caller_state
from ptrun.device.random_state import seed_everything
from ptrun.device.threads import set_threads


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(threads)


def test_random_numbers_go_on_as_if_nothing_had_been_called():
    seed_everything(5)
    expected = draw()
    seed_everything(5)
    with preserve_caller_state():
        seed_everything(6)
        draw()
    assert draw() == expected


def broken_run() -> None:
    with preserve_caller_state():
        assert torch.zeros(1).dtype is torch.float32
        set_threads(1)
        torch.set_default_dtype(torch.float16)
        raise ValueError("broken")


def test_threads_and_default_dtype_are_put_back_after_an_error():
    torch.set_num_threads(2)
    torch.set_default_dtype(torch.float64)
    with pytest.raises(ValueError, match="broken"):
        broken_run()
    assert torch.get_num_threads() == 2
    assert torch.get_default_dtype() is torch.float64
    torch.set_num_threads(1)
    set_threads(None)  # a later run that leaves the number alone
    assert torch.get_num_threads() == 1
