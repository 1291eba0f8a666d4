"""Measures an epoch: samples a second, and how long the loop waited for data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

from ptrun.engine.progress import Times

T = TypeVar("T")


class Stopwatch:
    """Runs from its creation to `stop`. Time spent on checkpoints within the epoch does not count."""

    def __init__(self, times: Times, samples_before: int) -> None:
        self._times, self._samples_before = times, samples_before
        self._checkpoint_before = times.checkpoint
        self._started = time.perf_counter()
        self._waited = 0.0

    def timed(self, items: Iterator[T]) -> Iterator[T]:
        """The items, noting how long each was waited for."""
        while True:
            asked = time.perf_counter()
            item = next(items, None)
            if item is None:
                return
            self._waited += time.perf_counter() - asked
            yield item

    def stop(self, samples: int) -> dict[str, float]:
        """Add the seconds to the run's times. Returns samples per second and the percentage of time spent waiting.

        samples: all of the epoch so far; a resumed epoch began with some.
        """
        elapsed = time.perf_counter() - self._started - (self._times.checkpoint - self._checkpoint_before)
        self._times.data += self._waited
        self._times.step += elapsed - self._waited
        return {
            "samples_per_second": (samples - self._samples_before) / elapsed,
            "data_wait_percent": 100 * self._waited / elapsed,
        }
