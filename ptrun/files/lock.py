"""Locks a file for this process."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ptrun.errors import ConfigError

_LOCKED: set[TextIO] = set()  # lock files that this process holds


@contextlib.contextmanager
def lock(folder: Path, *, note: bool = True) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process, however it ends. Raises ConfigError when it is held."""
    file = (folder / ".lock").open("a+")
    _LOCKED.add(file)
    try:
        _lock_file(file.fileno())
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise ConfigError(
            f"{folder}: this run folder is in use by {holder}. Wait for it, or start a run of your own."
        ) from None
    if note:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
    try:
        yield
    finally:
        _LOCKED.discard(file)
        file.close()


def _let_go() -> None:
    """A worker process that outlives a killed run must not hold its lock."""
    for file in _LOCKED:
        file.close()
    _LOCKED.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def is_locked(folder: Path) -> bool:
    """Whether a process holds the folder now."""
    try:
        with lock(folder, note=False):
            return False
    except ConfigError:
        return True


def _lock_file(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
