"""Signals are noted while training, and Ctrl-C ends a command that has nothing to lose with a message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support import ROOT

from ptrun.process.signals import READER_GONE, STOPPED_BY_KEYBOARD, interrupt_raised, stop_signals


def run(program: str) -> subprocess.CompletedProcess[str]:
    program = f"import os, signal\nfrom ptrun.process.signals import *\n{program}"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=False
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_a_stop_signal_is_noted_and_the_handlers_are_put_back(name: str):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with stop_signals() as received:
        os.kill(os.getpid(), number)
        assert received == [name]
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_the_process():
    done = run(
        "with stop_signals():\n"
        "    os.kill(os.getpid(), signal.SIGTERM); print('noted', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM); print('not reached')"
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "noted\n")


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with stop_signals() as received:
            os.kill(os.getpid(), signal.SIGHUP)
        assert received == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_ends_a_starting_command_with_a_message():
    done = run("leave_on_interrupt(); os.kill(os.getpid(), signal.SIGINT); print('not reached')")
    assert (done.returncode, done.stdout) == (STOPPED_BY_KEYBOARD, "")
    assert done.stderr == "error: Stopped by the keyboard.\n"


def test_ctrl_c_is_raised_where_there_is_something_to_close():
    done = run(
        "leave_on_interrupt()\n"
        "try:\n"
        "    with interrupt_raised(): os.kill(os.getpid(), signal.SIGINT)\n"
        "except KeyboardInterrupt: print('closed', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGINT)"
    )
    assert (done.returncode, done.stdout) == (STOPPED_BY_KEYBOARD, "closed\n")


def test_another_handler_is_left_alone():
    """As in a notebook, or where ptrun.train is called from a program of the user's."""
    before = signal.getsignal(signal.SIGINT)
    with interrupt_raised():
        assert signal.getsignal(signal.SIGINT) is before


def test_exit_codes_are_those_of_a_shell():
    assert (STOPPED_BY_KEYBOARD, READER_GONE) == (130, 141)
