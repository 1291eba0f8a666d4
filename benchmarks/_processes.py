"""Measures processes: wall time and peak resident memory, as the operating system counts them.

This module and the scripts that use it do not import torch, because a child process starts with the peak of its parent.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TUTORIAL = HERE / "_tutorial.py"


@dataclass(frozen=True)
class Usage:
    """Seconds of wall time, peak resident bytes, and seconds of processor time (its children's too) of a process."""

    seconds: float
    peak_bytes: int
    cpu_seconds: float


def run(
    arguments: Sequence[str | Path], folder: Path, threads: int | None, exit_code: int = 0, root: Path = HERE.parent
) -> Usage:
    """Run Python with these arguments in a folder. Raises RuntimeError with its errors on another exit code.

    root: the checkout whose ptrun is run.
    """
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(root), environment.get("PYTHONPATH", "")])
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    errors = folder / "stderr.txt"
    with errors.open("wb") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != exit_code:
        raise RuntimeError(f"{arguments} ended with {process.returncode}: {errors.read_text(encoding='utf-8')}")
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Usage(seconds, peak_bytes, usage.ru_utime + usage.ru_stime)
