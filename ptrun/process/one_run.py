"""One training run at a time in a process.

A run seeds the random generators of Python, NumPy and torch and sets torch's number of threads, of which a process has
one each. Two runs in two threads would draw from each other's generators and give other weights each time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ptrun.errors import ConfigError

_RUNNING = threading.Lock()


@contextmanager
def only_run_of_process() -> Iterator[None]:
    """Raise ConfigError when another run is going on in this process."""
    if not _RUNNING.acquire(blocking=False):
        raise ConfigError(
            "Another training run is going on in this process, and both would draw from the same random generators. "
            "Wait for its end, or start each run in a process of its own (concurrent.futures.ProcessPoolExecutor)."
        )
    try:
        yield
    finally:
        _RUNNING.release()
