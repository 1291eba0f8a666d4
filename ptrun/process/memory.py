"""The memory of a child process together with the processes that it has started, such as data workers; on Linux alone.

Pages of files that are only read are left out: the system takes them back when it needs memory. A page that several
processes share, as a forked child shares those of its parent, counts in equal parts for each of them.
https://docs.kernel.org/filesystems/proc.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_PROC = Path("/proc")
_UPPER = ("RssAnon", "RssShmem", "VmSwap")  # of /proc/PID/status: quick to read, and whole for each shared page
_SHARE = ("Pss_Anon", "Pss_Shmem", "SwapPss")  # of smaps_rollup, for which the system visits every page


def can_measure() -> bool:
    """Whether the system tells how much memory a process holds."""
    return (_PROC / "self" / "status").is_file()


def held_bytes(pid: int, enough: int = 0) -> int:
    """Memory that a process and its descendants hold; 0 when it is gone.

    enough: the exact sum matters only above this. A smaller one may be too large, as shared pages count several times.
    """
    processes = list(_with_descendants(pid))
    upper = _total(processes, "status", _UPPER)
    if upper <= enough:
        return upper
    return _total(processes, "smaps_rollup", _SHARE) or upper  # not every system has this file


def _with_descendants(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for path in (_PROC / str(pid) / "task").glob("*/children"):
            with contextlib.suppress(OSError):  # the thread has ended
                for child in path.read_text(encoding="ascii").split():
                    yield from _with_descendants(int(child))


def _total(processes: Iterable[int], file: str, names: tuple[str, ...]) -> int:
    total = 0
    for pid in processes:
        with contextlib.suppress(OSError):  # it has ended
            for line in (_PROC / str(pid) / file).read_text(encoding="utf-8", errors="replace").splitlines():
                name, _, value = line.partition(":")
                if name in names:
                    total += 1024 * int(value.split()[0])
    return total
