"""Work that a thread does beside the training, one piece after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple


class _Work(NamedTuple):
    do: Callable[[], object]
    essential: bool


class BackgroundWorker:
    """Runs functions in a thread that exists only while there is something to do.

    A checkpoint is written by a thread because a write with its fsync takes longer than many steps. The thread is not a
    daemon: a process that ends waits for it. An error is kept and raised by the next call, never lost.

    pause_seconds: least time between two pieces of work, unless `wait` was called: the thread and the training take
    turns in one interpreter, so a write takes time from the training too.
    """

    def __init__(self, pause_seconds: float = 0.0) -> None:
        self._pause_seconds = pause_seconds
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._queue: list[_Work] = []
        self._skip_pause = False
        self._last_end = time.monotonic()  # of a piece of work; at first the start, so that it begins with a pause
        self.error: BaseException | None = None  # raised by the next call

    def is_ready(self) -> bool:
        """Whether work that is started now is done at once."""
        return self._thread is None and time.monotonic() - self._last_end >= self._pause_seconds

    def start(self, do: Callable[[], object], *, essential: bool = False) -> None:
        """Queue a function. It replaces what still waits, except essential work, which only essential work replaces.

        Raises what earlier work raised.
        """
        if self.error is not None:
            self.wait()
        with self._changed:
            self._queue = [work for work in self._queue if work.essential and not essential]
            self._queue.append(_Work(do, essential))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="background worker")
                self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is left to do. Raises what the work raised."""
        with self._changed:
            thread, self._skip_pause = self._thread, True
            self._changed.notify()
        if thread is not None:
            thread.join()
        self._skip_pause = False
        error, self.error = self.error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            with self._changed:
                remaining = self._last_end + self._pause_seconds - time.monotonic()
                self._changed.wait_for(lambda: self._skip_pause, max(0.0, remaining))
                if not self._queue or self.error is not None:
                    # Under the lock: work that is queued after this starts a new thread.
                    self._queue, self._thread = [], None
                    return
                work = self._queue.pop(0)
            try:
                work.do()
            except BaseException as error:  # noqa: BLE001 (kept, and raised by the next call)
                self.error = error
            self._last_end = time.monotonic()
