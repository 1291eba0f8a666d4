"""A warm process is one that can be forked, and its forks import nothing more for a job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import ROOT

WARM = """
import sys, threading
from ptrun.sweeps.warm_up import warm_up
from ptrun.terminal.console import Console
print(warm_up({"digits"}, Console()))
"""
A_JOB = """
from support import train
before = set(sys.modules)
train("model=simplenet", "train.max_steps=1", "device.threads=1", "plots=false", quiet=True)
print(sorted(name for name in set(sys.modules) - before if name.startswith(("ptrun.data", "ptrun.runs", "sklearn"))))
"""
A_THREAD = """
threading.Thread(target=threading.Event().wait, daemon=True).start()
print(warm_up(set(), Console()))
"""


def printed(folder: Path, program: str) -> list[str]:
    """The lines that a Python program prints, in an empty folder."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_a_job_after_it_imports_no_more_and_a_thread_forbids_forks(tmp_path: Path):
    can_fork, imported, can_fork_with_thread, *_ = [
        line for line in printed(tmp_path, WARM + A_JOB + A_THREAD) if not line.startswith("  ")
    ]
    assert (can_fork, imported, can_fork_with_thread) == ("True", "[]", "False")
