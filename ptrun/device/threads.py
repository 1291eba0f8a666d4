"""Sets the number of CPU threads of torch."""

from __future__ import annotations

import torch

_REPLACED_THREADS: list[int] = []  # torch's own number, while a run uses another


def set_threads(threads: int | None) -> int:
    """Set the number of CPU threads and return it. None puts back torch's own number if a call replaced it."""
    if threads is not None:
        if not _REPLACED_THREADS:
            _REPLACED_THREADS.append(torch.get_num_threads())
        torch.set_num_threads(threads)
    elif _REPLACED_THREADS:
        torch.set_num_threads(_REPLACED_THREADS.pop())
    return torch.get_num_threads()


def start_with_threads(threads: int) -> None:
    """Let a process that has not computed yet take this number for torch's own."""
    _REPLACED_THREADS.clear()
    torch.set_num_threads(threads)
