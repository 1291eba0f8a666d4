"""Locks between processes. The system releases a lock when its process ends, however it ends.

Where a file system has no locks, as some network and FUSE ones, nothing is locked: the work is not refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ptrun.errors import ConfigError

LOCK_FILE = ".lock"
_IN_USE = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)  # any other error: the file system has no such locks
_OPEN: set[TextIO] = set()  # files whose locks this process holds or waits for


@contextlib.contextmanager
def lock(folder: Path, *, note: bool = True) -> Iterator[str]:
    """Hold the lock of a folder. Raises ConfigError, without waiting, when another process holds it.

    Yields why the folder can't be locked, as the system says it, or "".
    note: write into the lock file which process holds it, for the message of that error.
    """
    with _opened(folder / LOCK_FILE) as file:
        try:
            problem = _lock_file(file, wait=False)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise ConfigError(
                f"{folder}: this run folder is in use by {holder}. Wait for it, or start a run of your own."
            ) from None
        if note:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
        yield problem


@contextlib.contextmanager
def lock_file(path: Path, in_use: str) -> Iterator[None]:
    """Hold the lock of a file, which is made if there is none. Raises ConfigError with `in_use` if another holds it."""
    with _opened(path) as file:
        try:
            _lock_file(file, wait=False)
        except OSError:
            raise ConfigError(in_use) from None
        yield


@contextlib.contextmanager
def wait_for_lock(path: Path) -> Iterator[str]:
    """Hold the lock of a file, which is made if there is none; wait while another process holds it.

    Yields why it can't be locked, as the system says it, or "".
    """
    with _opened(path) as file:
        yield _lock_file(file, wait=True)


def try_lock(file: TextIO) -> str:
    """Lock an open file until it is closed by this process and by the children that were forked with it open.

    Returns why the file system can't, or "". Raises OSError when another process holds it.
    """
    return _lock_file(file, wait=False)


def adopt(file: TextIO) -> None:
    """Close a locked file, which this process inherited, in the children of this process."""
    _OPEN.add(file)


def wait_until_free(folder: Path) -> None:
    """Wait while another process holds the folder."""
    with wait_for_lock(folder / LOCK_FILE):
        pass


def is_locked(folder: Path) -> bool:
    """Whether a process holds the folder now."""
    try:
        with lock(folder, note=False):
            return False
    except ConfigError:
        return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with path.open("a+", encoding="utf-8") as file:
        _OPEN.add(file)
        try:
            yield file
        finally:
            _OPEN.discard(file)


def _lock_file(file: TextIO, *, wait: bool) -> str:
    """Lock an open file. Returns why the file system can't, or "". Raises OSError when another process holds it."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        return ""
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _IN_USE:
            raise
        return error.strerror or str(error)
    return ""


def _close_in_child() -> None:
    """A lock belongs to each process that inherits the open file; a data worker that outlives its run would keep it."""
    for file in _OPEN:
        file.close()
    _OPEN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
