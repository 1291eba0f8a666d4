"""Claims decide which of the processes that share a folder does a piece of work, on this machine and on others.

A claim is the lock of a file and a record beside it. Processes that see each other's locks use the lock alone: the
system releases it when its holder ends, however it ends. Not every file system passes locks on to other machines. There
the record decides: its holder rewrites it every few seconds, and has the claim while the record is fresh. The age of a
record is measured by the clock of the file system, which is the same for all machines. Process numbers are not used,
because they have a meaning only within one container.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ptrun.files import lock

BEAT_SECONDS = 10.0  # how often a holder rewrites its record
STALE_SECONDS = 90.0  # the age from which the record of another machine is ignored; its jobs have stopped by then
_WAIT_SECONDS = 0.1
_TRIES = 20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class _Record:
    """The content of a record. peers: equal for processes that see each other's locks. written: its file's time."""

    token: str
    peers: str
    host: str
    written: float


@dataclass
class Claim:
    """A claim of this process.

    file: its lock is held until this process, and each child that has it open, closes it.
    """

    path: Path
    file: TextIO
    token: str

    def close(self) -> None:
        """Leave the lock to the children that have the file open. The record stays."""
        self.file.close()

    def beat(self) -> bool:
        """Rewrite the record, which keeps it fresh. Returns False when another process has the claim by now."""
        try:
            with _record_path(self.path).open("r+", encoding="utf-8") as file:
                text = file.read()
                if _parsed(text).get("token") != self.token:
                    return False
                file.seek(0)
                file.write(text)
        except FileNotFoundError:
            return False
        except OSError:  # a short failure of the network; the next beat comes in time
            return True
        return True

    def regain(self) -> bool:
        """Lock the file again when the children are gone. Returns False when another process has the claim by now."""
        for _ in range(_TRIES):
            again = claim(self.path, self.token)
            if again is not None:
                self.file = again.file
                return True
            if not _is_mine(self.path, self.token):
                return False
            time.sleep(_WAIT_SECONDS)  # `holder` looks at the lock by holding it for an instant
        return False

    def release(self) -> None:
        """Let go of the claim, so that any process can have it at once."""
        if not self.file.closed:
            _remove(self.path, self.token)
            self.file.close()


def claim(path: Path, token: str = "") -> Claim | None:
    """Claim the work that a file stands for; None when another process has it. The file is made if there is none.

    token: of an earlier claim of this process, which is claimed again, unless another one has had it since.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        locks = not lock.try_lock(file)
    except OSError:
        file.close()
        return None
    made = Claim(path, file, token or secrets.token_hex(8))
    if _is_mine(path, token) if token else _take(path, made.token, locks=locks):
        return made
    file.close()
    return None


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the claim of a file for a moment; wait while another process has it."""
    with lock.wait_for_lock(path) as problem:
        token = secrets.token_hex(8)
        while not _take(path, token, locks=not problem):
            time.sleep(_WAIT_SECONDS)
        try:
            yield
        finally:
            _remove(path, token)


def holder(path: Path) -> str:
    """The machine whose process has this claim now; "" when none has."""
    if not path.is_file():
        return ""
    record = _read(path)
    try:
        with path.open("a+", encoding="utf-8") as file:
            counts = record is not None and _counts(path, record, locks=not lock.try_lock(file))
    except OSError:
        counts = True
    return (record.host if record else "another machine") if counts else ""


def _take(path: Path, token: str, *, locks: bool) -> bool:
    """Write the record of a claim whose lock is held. Returns False when another process has the claim.

    Without common locks two processes may be here at once; each step succeeds for one of them only.
    """
    record = _read(path)
    if record is not None and (_counts(path, record, locks=locks) or not _remove(path, record.token)):
        return False
    values = {"token": token, "peers": _peers(path), "host": socket.gethostname()}
    with contextlib.suppress(FileExistsError), _record_path(path).open("x", encoding="utf-8") as file:
        file.write(json.dumps(values))
        return True
    return False


def _is_mine(path: Path, token: str) -> bool:
    record = _read(path)
    return record is not None and record.token == token


def _counts(path: Path, record: _Record, *, locks: bool) -> bool:
    """Whether a record means that there is a holder. Where this process sees the holder's lock, the lock decides."""
    if record.peers == _peers(path) and locks:
        return False
    return _clock(path.parent) - record.written < STALE_SECONDS


def _remove(path: Path, token: str) -> bool:
    """Remove a record; only one of the processes that try succeeds. Returns False for a record of another token."""
    record, moved = _record_path(path), path.with_name(f"{path.name}-was-{secrets.token_hex(4)}")
    try:
        record.rename(moved)
    except OSError:
        return False
    is_right = _parsed(moved.read_text(encoding="utf-8")).get("token", "") == token
    if not is_right:  # a quicker process has made it meanwhile
        with contextlib.suppress(OSError):
            os.link(moved, record)
    moved.unlink(missing_ok=True)
    return is_right


def _read(path: Path) -> _Record | None:
    try:
        with _record_path(path).open(encoding="utf-8") as file:  # opening makes a network file system look for changes
            values, written = _parsed(file.read()), os.fstat(file.fileno()).st_mtime
    except OSError:
        return None
    token, peers, host = (str(values.get(key, "")) for key in ("token", "peers", "host"))
    return _Record(token, peers, host, written)


def _parsed(text: str) -> dict[str, object]:
    with contextlib.suppress(ValueError):
        values = json.loads(text)
        if isinstance(values, dict):
            return values
    return {}  # its holder is about to write it


def _clock(folder: Path) -> float:
    """The current time by the clock of the file system that holds a folder."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
        file.flush()
        return os.fstat(file.fileno()).st_mtime


def _peers(path: Path) -> str:
    """Equal for processes that see each other's locks: those of one system and one mount of the file system."""
    try:
        system = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        system = f"{socket.gethostname()}-{uuid.getnode():x}"
    return f"{system}/{path.stat().st_dev}"


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}-by")
