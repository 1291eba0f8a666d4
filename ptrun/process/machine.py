"""What this machine has: cores, memory, processor."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import sys
from pathlib import Path

_MAX_CORES: list[int] = []  # what `use_at_most` left to this process


def usable_cores() -> int:
    """Cores that this process may use; on a shared machine fewer than there are."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([cores, *_MAX_CORES])


def use_at_most(cores: int) -> None:
    """Leave the other cores to other processes: `usable_cores` is at most this from now on."""
    _MAX_CORES[:] = [cores]


def available_memory_bytes() -> float:
    """Memory that can be used without swapping on Linux; elsewhere all the memory of the machine."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
        return min(available, _cgroup_memory_bytes())
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def peak_process_bytes() -> int:
    """The most memory that this process has held so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def cpu_name() -> str:
    """The model of the processor, as the system names it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _cgroup_memory_bytes() -> float:
    """Memory that a container or a batch system leaves to this process; infinite without a limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html
    """
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return math.inf
