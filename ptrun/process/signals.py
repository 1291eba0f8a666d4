"""Stop signals → a list of names that the loop looks at between steps; Ctrl-C before and after → a sentence.

Invariant: a handler that training runs under only appends a name; nothing is saved or closed inside of one.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

STOPPED_BY_KEYBOARD = 128 + signal.SIGINT  # the exit code; what a shell says of a process that a signal ended
READER_GONE = 128 + 13  # the same for SIGPIPE, which not every system has
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


@contextlib.contextmanager
def stop_signals() -> Iterator[list[str]]:
    """Collect the names of stop signals; the loop looks at the list between steps. A second signal ends the process at once."""
    received: list[str] = []

    def handle(number: int, frame: Any) -> None:
        if received:
            os._exit(128 + number)
        received.append(signal.Signals(number).name)

    previous = {}
    for name in _SIGNALS:
        with contextlib.suppress(ValueError, AttributeError):  # not the main thread, or no such signal here
            number = getattr(signal, name)
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup: who started the process wants it so
                previous[number] = signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def leave_on_interrupt() -> None:
    """Let Ctrl-C end the process with a sentence, until a command says that it has something to lose.

    While modules are imported KeyboardInterrupt is no way: some turn it into an error of their own, and the rest of
    the traceback says nothing to a user.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


@contextlib.contextmanager
def interrupt_raised() -> Iterator[None]:
    """Inside, Ctrl-C raises KeyboardInterrupt, so that what was begun is closed and said to be interrupted."""
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
