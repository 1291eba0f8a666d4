"""Leaves torch's global settings and all random numbers as a caller from Python had them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ptrun.device.random_state import random_state, restore_random_state
from ptrun.device.threads import set_threads


@contextmanager
def preserve_caller_state() -> Iterator[None]:
    """Inside, the default dtype is float32, which the data have. Afterwards all is as it was before.

    That is: the random states of Python, NumPy and torch, the number of CPU threads, the default dtype, and whether
    deterministic algorithms are required.
    """
    random, threads, dtype = random_state(), torch.get_num_threads(), torch.get_default_dtype()
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        restore_random_state(random)
        set_threads(None)  # forgets the number that the run replaced
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.backends.cudnn.benchmark = benchmark
        if deterministic != torch.are_deterministic_algorithms_enabled():
            # Only on a change: the call imports torch's compiler, which takes two seconds.
            torch.use_deterministic_algorithms(deterministic)
