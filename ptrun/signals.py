"""Stop signals → a list of names that the loop looks at between steps.

Invariant: a handler only appends a name; nothing is saved or closed inside of one.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

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
