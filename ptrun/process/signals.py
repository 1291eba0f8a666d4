"""Stop signals while training, and Ctrl-C before and after.

A handler that runs while training only adds a name to a list, which the loop reads between steps: saving inside of a
handler would meet half-changed state.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

# Exit codes as a shell reports them for a process that a signal ended.
STOPPED_BY_KEYBOARD = 128 + signal.SIGINT
READER_GONE = 128 + 13  # SIGPIPE, by number: not every system has it
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


@contextlib.contextmanager
def stop_signals() -> Iterator[list[str]]:
    """Collect the names of stop signals in the list that is given out. A second signal ends the process at once."""
    received: list[str] = []

    def handle(number: int, frame: Any) -> None:
        if received:
            os._exit(128 + number)
        received.append(signal.Signals(number).name)

    previous = {}
    for name in _SIGNALS:
        with contextlib.suppress(ValueError, AttributeError):  # not the main thread, or no such signal here
            number = getattr(signal, name)
            if signal.getsignal(number) != signal.SIG_IGN:  # under nohup, whoever started the process ignores SIGHUP
                previous[number] = signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def leave_on_interrupt() -> None:
    """Make Ctrl-C end the process with a message, until `interrupt_raised`.

    While modules are imported a KeyboardInterrupt does not help: some libraries turn it into an error of their own, and
    the traceback of the others says nothing to a user.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


@contextlib.contextmanager
def interrupt_raised() -> Iterator[None]:
    """Inside, Ctrl-C raises KeyboardInterrupt, so that files are closed and the run is marked as interrupted."""
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _leave)


def _leave(number: int, frame: Any) -> None:
    os.write(2, b"error: Stopped by the keyboard.\n")
    os._exit(STOPPED_BY_KEYBOARD)
