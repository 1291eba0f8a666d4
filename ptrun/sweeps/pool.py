"""Runs jobs in child processes, a few at a time: a free slot starts the next job at once.

Whatever a job does, the others go on: it may raise, call sys.exit or os._exit, be killed, hang or take all memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from ptrun.build.slots import Slot
from ptrun.process.children import Child, Ended, wait_for_any

GRACE_SECONDS = 30  # from the request to save and stop until a job is killed; at most its time limit
_POLL_SECONDS = 0.5  # how soon a signal, a time limit or a lost notice is acted on

T = TypeVar("T")


class Later(Enum):
    """No job can be had now, but one may be later: other processes run the rest."""

    LATER = "later"


LATER = Later.LATER


@dataclass
class Running(Generic[T]):
    """A job in its slot."""

    job: T
    slot: Slot
    child: Child
    told: float | None = None  # when it was asked to stop, by time.monotonic
    timed_out: bool = False

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self.child.started

    def ask_to_stop(self) -> None:
        """Ask once."""
        if self.told is None:
            self.told = time.monotonic()
            self.child.stop()

    def enforce(self, timeout_seconds: float | None) -> None:
        """Stop a job that takes too long, and kill one that does not stop."""
        if timeout_seconds is not None and self.told is None and self.seconds > timeout_seconds:
            self.timed_out = True
            self.ask_to_stop()
        grace = min(GRACE_SECONDS, timeout_seconds or GRACE_SECONDS)
        if self.told is not None and time.monotonic() - self.told > grace:
            self.child.kill()


@dataclass(frozen=True)
class Pool(Generic[T]):
    """What is done with jobs.

    take: the next job, LATER, or None when there are no more.
    start: begins a job in a slot.
    ended: is told of each end, and whether it was the time limit.
    is_over: whether to start no more jobs and stop the running ones.
    """

    slots: Sequence[Slot]
    take: Callable[[], T | Later | None]
    start: Callable[[T, Slot], Child]
    ended: Callable[[Running[T], Ended], None]
    is_over: Callable[[], bool]
    timeout_seconds: float | None = None

    def run(self) -> None:
        """Run all jobs to their end, in order."""
        free, running = list(self.slots), list[Running[T]]()
        later = self._fill(free, running)
        while running or (later and not self.is_over()):
            wait_for_any([place.child for place in running], _POLL_SECONDS)
            for place in list(running):
                end = place.child.poll()
                if end is not None:
                    running.remove(place)
                    free.append(place.slot)
                    self.ended(place, end)
                    continue
                if self.is_over():
                    place.ask_to_stop()
                place.enforce(self.timeout_seconds)
            later = self._fill(free, running)

    def _fill(self, free: list[Slot], running: list[Running[T]]) -> bool:
        """Start a job in each free slot. Returns whether there may be more jobs later."""
        while free and not self.is_over():
            job = self.take()
            if job is None or isinstance(job, Later):
                return job is not None
            slot = free.pop(0)
            running.append(Running(job, slot, self.start(job, slot)))
        return not self.is_over()
