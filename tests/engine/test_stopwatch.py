"""The stopwatch tells waiting for data from computing, and leaves checkpoints out."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ptrun.engine.progress import Times
from ptrun.engine.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets by hand."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_waiting_computing_and_speed(clock: list[float]):
    def slow() -> Iterator[int]:
        for item in range(2):
            clock[0] += 3.0
            yield item

    times = Times()
    stopwatch = Stopwatch(times, samples_before=10)
    for _ in stopwatch.timed(slow()):
        clock[0] += 1.0
    assert stopwatch.stop(samples=26) == {"samples_per_second": 2.0, "data_wait_percent": 75.0}
    assert (times.data, times.step) == (6.0, 2.0)


def test_checkpoints_within_the_epoch_do_not_count(clock: list[float]):
    times = Times()
    stopwatch = Stopwatch(times, samples_before=0)
    clock[0] += 1.0
    with times.spent_on("checkpoint"):
        clock[0] += 5.0
    assert stopwatch.stop(samples=4)["samples_per_second"] == 4.0
    assert (times.step, times.checkpoint) == (1.0, 5.0)
