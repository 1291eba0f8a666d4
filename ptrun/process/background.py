"""Work that a thread does beside the training, one piece after the other.

Invariant: a failure is raised by the next call, never lost; what is essential is done; a process that ends waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple


class _Work(NamedTuple):
    do: Callable[[], object]
    essential: bool


class Writer:
    """Runs functions in a thread that exists while there is something to do.

    pause_seconds: between two pieces of work, unless somebody waits: the thread and the training share one interpreter.
    """

    def __init__(self, pause_seconds: float = 0.0) -> None:
        self._pause_seconds = pause_seconds
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._waiting: list[_Work] = []
        self._hurried = False
        self._ended = time.monotonic()  # or has begun
        self.error: BaseException | None = None  # raised by the next call

    def is_ready(self) -> bool:
        """Whether work that is started now would be done at once."""
        return self._thread is None and time.monotonic() - self._ended >= self._pause_seconds

    def start(self, do: Callable[[], object], *, essential: bool = False) -> None:
        """Have it done after what is under way, in place of what still waits, unless only that is essential.

        Raises what earlier work raised.
        """
        if self.error is not None:
            self.wait()
        with self._changed:
            self._waiting = [each for each in self._waiting if each.essential and not essential]
            self._waiting.append(_Work(do, essential))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="writer")
                self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is left to do. Raises what the work raised."""
        with self._changed:
            thread, self._hurried = self._thread, True
            self._changed.notify()
        if thread is not None:
            thread.join()
        self._hurried = False
        error, self.error = self.error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            with self._changed:
                rest = self._ended + self._pause_seconds - time.monotonic()
                self._changed.wait_for(lambda: self._hurried, max(0.0, rest))
                if not self._waiting or self.error is not None:
                    self._waiting, self._thread = [], None
                    return
                work = self._waiting.pop(0)
            try:
                work.do()
            except BaseException as error:  # noqa: BLE001 (raised by the next call)
                self.error = error
            self._ended = time.monotonic()
