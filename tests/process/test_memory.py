"""The memory of a process with its children: pages that they share count once, those of files not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ptrun.process import memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of a process")
MIB = 1 << 20
HOLDS = f"held = b'x' * {200 * MIB}\n"
FORKS = "for _ in range(2):\n    if os.fork() == 0: os.read(0, 1); os._exit(0)\n"
MAPS = "file = open(sys.argv[1], 'rb'); held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ); held.find(b'y')\n"


@contextmanager
def process(program: str, *words: str) -> Iterator[int]:
    """A process that has run a program and waits, as do its children until its input is closed."""
    command = [
        sys.executable,
        "-c",
        f"import mmap, os, sys\n{program}print('ready', flush=True); os.read(0, 1)",
        *words,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdin is not None
        started.stdout.readline()
        yield started.pid
        started.stdin.close()


def test_what_a_process_shares_with_its_children_counts_once():
    with process(HOLDS + FORKS) as pid:
        assert 200 * MIB < memory.held_bytes(pid) < 280 * MIB
        assert memory.held_bytes(pid, enough=1000 * MIB) > 600 * MIB  # not looked at closely


def test_what_a_child_holds_counts():
    child = f"    {HOLDS}    os.write(write, b'x'); os.read(0, 1); os._exit(0)\n"
    with process(f"read, write = os.pipe()\nif os.fork() == 0:\n{child}os.read(read, 1)\n") as pid:
        assert memory.held_bytes(pid) > 200 * MIB


def test_a_file_that_is_read_does_not_count(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x" * (200 * MIB))
    with process(MAPS, str(tmp_path / "file")) as pid:
        assert 0 < memory.held_bytes(pid) < 100 * MIB


def test_a_process_that_is_gone_holds_nothing():
    with process("") as pid:
        pass
    assert memory.held_bytes(pid) == 0
    assert memory.can_measure()
