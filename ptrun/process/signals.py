"""Stop signals: Ctrl-C, and what schedulers, containers and shells send to end a process.

From the first line of a command on, a signal ends it with a message. Within a run it raises StopSignal, so that files
are closed and the run is marked as interrupted. While training it is only noted, and the loop reads that between steps:
saving inside of a handler would meet half-changed state.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

# Exit codes as a shell reports them for a process that a signal ended.
STOPPED_BY_KEYBOARD = 128 + signal.SIGINT
READER_GONE = 128 + 13  # SIGPIPE, by number: not every system has it
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_NUMBERS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))  # Windows lacks some
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


class StopSignal(KeyboardInterrupt):
    """A stop signal arrived. `exit_code` is what a shell reports for a process that it ended."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(_sentence(number))


class StopSignals:
    """The stop signals of a run.

    received: the name of the first one; "" so far. A second one ends the process at once.
    has_raised: whether StopSignal was raised for it.
    before_exit: called with the name and the exit code just before a second signal ends the process.
    """

    def __init__(self) -> None:
        self.received, self.has_raised = "", False
        self.before_exit: Callable[[str, int], None] = _ignore
        self._raises, self._process = True, os.getpid()

    @contextlib.contextmanager
    def only_noted(self) -> Iterator[None]:
        """Inside, a signal changes nothing but `received`."""
        self._raises = False
        try:
            yield
        finally:
            self._raises = True

    def note_from_here(self) -> None:
        """From here on, a signal changes nothing but `received`."""
        self._raises = False

    def handle(self, number: int, frame: Any) -> None:
        """Note the signal, and raise StopSignal where that is wanted."""
        if os.getpid() != self._process:  # a data worker that has not begun its work yet
            return
        if self.received:
            try:
                self.before_exit(signal.Signals(number).name, 128 + number)
            finally:
                os._exit(128 + number)
        self.received = signal.Signals(number).name
        if self._raises:
            self.has_raised = True
            raise StopSignal(number)


@contextlib.contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Inside, a stop signal raises StopSignal; within `only_noted` it is only noted."""
    stop = StopSignals()
    with _handled(stop.handle, lambda handler: handler not in (signal.SIG_IGN, None)):  # nohup ignores SIGHUP
        yield stop


def leave_on_signals() -> None:
    """Make a stop signal end the process with a message, until `stop_signals` or `interrupt_raised`.

    While modules are imported an exception does not help: some libraries turn it into an error of their own, and the
    traceback of the others says nothing to a user.
    """
    for number in _NUMBERS:
        if signal.getsignal(number) in _DEFAULTS:
            signal.signal(number, _leave)


def ignore_signals() -> None:
    """Ignore stop signals from here on: all is done, and the process ends by itself."""
    for number in _NUMBERS:
        if signal.getsignal(number) is _leave:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def interrupt_raised() -> Iterator[None]:
    """Inside, a signal that would end the process with a message raises StopSignal, so that files are closed."""
    with _handled(_raise, lambda handler: handler is _leave):
        yield


@contextlib.contextmanager
def _handled(handle: Callable[[int, Any], None], replaces: Callable[[Any], bool]) -> Iterator[None]:
    """Inside, a stop signal calls `handle`, where `replaces` is true for the handler that it had before."""
    previous = {}
    try:
        for number in _NUMBERS:
            handler = signal.getsignal(number)
            if replaces(handler):
                with contextlib.suppress(ValueError):  # not the main thread
                    previous[number] = signal.signal(number, handle)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _ignore(name: str, exit_code: int) -> None:
    pass


def _raise(number: int, frame: Any) -> None:
    raise StopSignal(number)


def _leave(number: int, frame: Any) -> None:
    os.write(2, f"{_sentence(number)}\n".encode())
    os._exit(128 + number)


def _sentence(number: int) -> str:
    name = "the keyboard" if number == signal.SIGINT else signal.Signals(number).name
    return f"Stopped by {name}."
