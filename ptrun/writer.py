"""One piece of work at a time, done by a thread beside the training.

Invariant: at most one is under way; a failure is raised by the next call, never lost, and a process that
ends waits for the work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Writer:
    """Runs functions in a thread of its own."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def failed(self) -> bool:
        """Whether `wait` will raise."""
        return self._error is not None

    def start(self, work: Callable[[], object]) -> None:
        """Wait for the work before this one, then begin. Raises what that one raised."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(work,), name="writer")
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is under way. Raises what the work raised."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (raised by the next call)
            self._error = error
