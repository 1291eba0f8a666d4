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
from ptrun.process import memory
from ptrun.process.children import Child, Ended, wait_for_any

GRACE_SECONDS = 30  # from the request to save and stop until a job is killed; at most its time limit
_POLL_SECONDS = 0.5  # how soon a signal, a limit or a lost notice is acted on
_FAR = 1.25  # times its limit, a job is killed: to let it save could take the memory that is left for the others
_PAUSES = 20  # times the duration of a measurement, until the memory of that job is measured again

T = TypeVar("T")


class Later(Enum):
    """No job is free now, but one may be later: other processes run the rest."""

    LATER = "later"


LATER = Later.LATER


class Limit(Enum):
    """What a job can take too much of."""

    TIME = "time"
    MEMORY = "memory"


@dataclass(frozen=True)
class Limits:
    """What one job may take; None for any."""

    seconds: float | None = None
    memory_bytes: int | None = None


@dataclass
class Running(Generic[T]):
    """A job in its slot. held_bytes: its memory when it was measured last."""

    job: T
    slot: Slot
    child: Child
    asked_to_stop: float | None = None  # when, by time.monotonic
    exceeded: Limit | None = None
    held_bytes: int = 0
    next_measurement: float = 0.0

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self.child.started

    def ask_to_stop(self) -> None:
        """Ask once."""
        if self.asked_to_stop is None:
            self.asked_to_stop = time.monotonic()
            self.child.stop()

    def enforce(self, limits: Limits) -> None:
        """Stop a job that takes too much, and kill one that does not stop."""
        if limits.seconds is not None and self.asked_to_stop is None and self.seconds > limits.seconds:
            self._exceed(Limit.TIME)
        if limits.memory_bytes is not None:
            self._measure(limits.memory_bytes)
        grace = min(GRACE_SECONDS, limits.seconds or GRACE_SECONDS)
        is_far = limits.memory_bytes is not None and self.held_bytes > _FAR * limits.memory_bytes
        if self.asked_to_stop is not None and (is_far or time.monotonic() - self.asked_to_stop > grace):
            self.child.kill()

    def _measure(self, most_bytes: int) -> None:
        now = time.monotonic()
        if now < self.next_measurement:
            return
        self.held_bytes = max(memory.held_bytes(self.child.pid, most_bytes), self.held_bytes)
        ended = time.monotonic()
        self.next_measurement = ended + _PAUSES * (ended - now)
        if self.held_bytes > most_bytes and self.exceeded is None:
            self._exceed(Limit.MEMORY)

    def _exceed(self, limit: Limit) -> None:
        self.exceeded = self.exceeded or limit
        self.ask_to_stop()


@dataclass(frozen=True)
class Pool(Generic[T]):
    """What is done with jobs.

    take: the next job, LATER, or None when there are no more.
    start: begins a job in a slot.
    ended: is called with each job that has ended, and how its process did.
    is_over: whether to start no more jobs and stop the running ones.
    look: is shown the running jobs every half second.
    """

    slots: Sequence[Slot]
    take: Callable[[], T | Later | None]
    start: Callable[[T, Slot], Child]
    ended: Callable[[Running[T], Ended], None]
    is_over: Callable[[], bool]
    look: Callable[[Sequence[Running[T]]], None] = lambda running: None
    limits: Limits = Limits()

    def run(self) -> None:
        """Run all jobs to their end, in order."""
        free, running = list(self.slots), list[Running[T]]()
        later = self._fill(free, running)
        while running or (later and not self.is_over()):
            wait_for_any([running_job.child for running_job in running], _POLL_SECONDS)
            for running_job in list(running):
                end = running_job.child.poll()
                if end is not None:
                    running.remove(running_job)
                    free.append(running_job.slot)
                    self.ended(running_job, end)
                    continue
                if self.is_over():
                    running_job.ask_to_stop()
                running_job.enforce(self.limits)
            later = self._fill(free, running)
            self.look(running)

    def _fill(self, free: list[Slot], running: list[Running[T]]) -> bool:
        """Start a job in each free slot. Returns whether there may be more jobs later."""
        while free and not self.is_over():
            job = self.take()
            if job is None or isinstance(job, Later):
                return job is not None
            slot = free.pop(0)
            running.append(Running(job, slot, self.start(job, slot)))
        return not self.is_over()
