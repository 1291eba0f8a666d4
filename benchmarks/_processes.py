"""Whole processes: their wall time and their peak resident memory, as the operating system counts them.

Invariant: this module and those that use it import no torch, because a child begins with the peak of its parent.
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
class Ended:
    """What a process took: seconds of wall time, peak resident bytes."""

    seconds: float
    peak_bytes: int


def run(arguments: Sequence[str | Path], folder: Path, threads: int | None, exit_code: int = 0) -> Ended:
    """Run Python with these arguments in a folder. Raises RuntimeError with its errors when it ends in another way."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), environment.get("PYTHONPATH", "")])
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    errors = folder / "stderr.txt"
    with errors.open("wb") as stderr:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != exit_code:
        raise RuntimeError(f"{arguments} ended with {process.returncode}: {errors.read_text(encoding='utf-8')}")
    return Ended(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
