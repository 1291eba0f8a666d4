"""Work that a thread does beside the training, one piece after the other.

Invariant: a failure is raised by the next call, never lost; what is essential is done; a process that ends waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple


class _Work(NamedTuple):
    do: Callable[[], object]
    essential: bool


class Writer:
    """Runs functions in a thread that exists while there is something to do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waiting: list[_Work] = []
        self.error: BaseException | None = None  # raised by the next call

    def start(self, do: Callable[[], object], *, essential: bool = False) -> None:
        """Have it done after what is under way, in place of what still waits, unless only that is essential.

        Raises what earlier work raised.
        """
        if self.error is not None:
            self.wait()
        with self._lock:
            self._waiting = [each for each in self._waiting if each.essential and not essential]
            self._waiting.append(_Work(do, essential))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="writer")
                self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is left to do. Raises what the work raised."""
        thread = self._thread
        if thread is not None:
            thread.join()
        error, self.error = self.error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or self.error is not None:
                    self._waiting, self._thread = [], None
                    return
                work = self._waiting.pop(0)
            try:
                work.do()
            except BaseException as error:  # noqa: BLE001 (raised by the next call)
                self.error = error
