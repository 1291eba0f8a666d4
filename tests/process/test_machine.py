"""What the machine has, compared with what the system says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support import ROOT

from ptrun.process import machine


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system can't bind a process to cores")
def test_only_cores_that_the_process_may_use_are_counted():
    program = (
        "import os; os.sched_setaffinity(0, {0})\nfrom ptrun.process.machine import usable_cores; print(usable_cores())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == "1\n"
    assert machine.usable_cores() == len(os.sched_getaffinity(0))


def test_available_memory_is_a_part_of_all_of_it():
    everything = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 2**20 < machine.available_memory_bytes() <= everything


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_the_peak_of_the_process_grows_with_what_it_holds():
    before = machine.peak_process_bytes()
    block = bytearray(before + 2**25)  # more than was ever held
    block[:: 2**12] = b"x" * len(block[:: 2**12])  # touched, so that it is in memory
    assert before + 2**24 < machine.peak_process_bytes() < before + 2**30 + len(block)


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_processor_has_a_name():
    assert machine.cpu_name().strip() == machine.cpu_name()


def test_a_process_can_leave_cores_to_others():
    program = (
        "from ptrun.process import machine\nbefore = machine.usable_cores()\nmachine.use_at_most(before + 1)\n"
        "assert machine.usable_cores() == before\nmachine.use_at_most(1)\nassert machine.usable_cores() == 1"
    )
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, check=True)
