"""Signals are noted while training, and Ctrl-C ends a command that has nothing to lose with a message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support import ROOT

from ptrun.process.signals import READER_GONE, STOPPED_BY_KEYBOARD, StopSignal, interrupt_raised, stop_signals


def run(program: str) -> subprocess.CompletedProcess[str]:
    program = f"import os, signal\nfrom ptrun.process.signals import *\n{program}"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=False
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_a_stop_signal_is_noted_and_the_handlers_are_put_back(name: str):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with stop_signals() as stop, stop.only_noted():
        os.kill(os.getpid(), number)
        assert (stop.received, stop.has_raised) == (name, False)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_stop_signal_is_raised_where_it_is_not_only_noted(name: str):
    number = getattr(signal, name)
    with stop_signals() as stop:
        with stop.only_noted():
            pass
        with pytest.raises(StopSignal) as caught:
            os.kill(os.getpid(), number)
        assert (stop.received, stop.has_raised, caught.value.exit_code) == (name, True, 128 + number)


def test_a_signal_at_the_end_changes_nothing():
    with stop_signals() as stop:
        stop.note_from_here()
        os.kill(os.getpid(), signal.SIGTERM)
    assert not stop.has_raised


def test_a_forked_process_leaves_signals_to_the_run():
    done = run(
        "with stop_signals():\n"
        "    if os.fork() == 0: os.kill(os.getpid(), signal.SIGTERM); os._exit(7)\n"
        "    print(os.waitstatus_to_exitcode(os.wait()[1]))"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")


def test_a_second_signal_ends_the_process():
    done = run(
        "with stop_signals() as stop, stop.only_noted():\n"
        "    os.kill(os.getpid(), signal.SIGTERM); print('noted', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM); print('not reached')"
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "noted\n")


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with stop_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.received == ""
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("name", "sentence"), [("SIGINT", "Stopped by the keyboard."), ("SIGTERM", "Stopped by SIGTERM.")]
)
def test_a_signal_ends_a_starting_command_with_a_message(name: str, sentence: str):
    done = run(f"leave_on_signals(); os.kill(os.getpid(), signal.{name}); print('not reached')")
    assert (done.returncode, done.stdout) == (128 + getattr(signal, name), "")
    assert done.stderr == f"{sentence}\n"


def test_a_signal_is_raised_where_there_is_something_to_close():
    done = run(
        "leave_on_signals()\n"
        "try:\n"
        "    with interrupt_raised(): os.kill(os.getpid(), signal.SIGTERM)\n"
        "except KeyboardInterrupt: print('closed', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGINT)"
    )
    assert (done.returncode, done.stdout) == (STOPPED_BY_KEYBOARD, "closed\n")


def test_signals_are_ignored_when_all_is_done():
    done = run("leave_on_signals(); ignore_signals(); os.kill(os.getpid(), signal.SIGUSR1); print('done')")
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_another_handler_is_left_alone():
    """As in a notebook, or where ptrun.train is called from a program of the user's."""
    before = signal.getsignal(signal.SIGINT)
    with interrupt_raised():
        assert signal.getsignal(signal.SIGINT) is before


def test_exit_codes_are_those_of_a_shell():
    assert (STOPPED_BY_KEYBOARD, READER_GONE) == (130, 141)
