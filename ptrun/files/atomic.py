"""Replaces a file in one step: a reader, also one after a crash, finds the old file or the whole new one.

The new content is written under a temporary name in the same folder, because a rename is atomic only within one
file system.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

_PREFIX = ".tmp-"


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends without an error.

    durable: wait until the content is on disk before the rename. Without that a power failure, not a mere kill of the
    process, can leave an empty file. `sync_folder` makes the rename itself durable.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            yield file
            if durable:
                file.flush()
                # Through the handle that wrote: a handle opened later may not report an earlier write error.
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_text(path: Path, *, durable: bool = False) -> Iterator[TextIO]:
    """Like `replacing`, for UTF-8 text whose line ends are written as they are."""
    with replacing(path, durable=durable) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()


def replace_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Replace the content of a file by `text`."""
    with replacing_text(path, durable=durable) as file:
        file.write(text)


def replace_by_link(path: Path, target: Path) -> None:
    """Make `path` another name of `target`; a copy where the file system has no hard links."""
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)  # os.link does not overwrite
    try:
        os.link(target, temporary)
    except OSError:
        shutil.copyfile(target, temporary)
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
    temporary.replace(path)
    temporary.unlink(missing_ok=True)  # POSIX: renaming one name of a file onto another name of it does nothing


def sync_folder(folder: Path) -> None:
    """Wait until the renames in a folder are on disk, where the system can do that."""
    with contextlib.suppress(OSError):  # some systems can't open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_temporary_files(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder and below. No process may be writing there."""
    for path in folder.rglob(f"{_PREFIX}*"):
        path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """Another name at each call. Process numbers would not do: processes in two containers can have the same one."""
    return path.with_name(f"{_PREFIX}{secrets.token_hex(4)}-{path.name}")
