"""The pool fills free slots, enforces time limits and stops when it is told to."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ptrun.build.slots import Slot
from ptrun.process import memory
from ptrun.process.children import Child, Ended, ForkedChild
from ptrun.sweeps.pool import Limit, Limits, Pool, Running

Work = Callable[[], int]


def run(
    tmp_path: Path,
    works: list[Work],
    slots: int = 2,
    is_over: Callable[[], bool] = lambda: False,
    limits: Limits | None = None,
    again: int = 0,
) -> list[tuple[Work, int, Limit | None]]:
    """Each end: work, exit code, which limit was exceeded; and at most `slots` at the same time."""
    ends: list[tuple[Work, int, Limit | None]] = []
    running: list[Work] = []
    waiting = list(works)

    def start(work: Work, slot: Slot) -> Child:
        running.append(work)
        assert len(running) <= slots
        return ForkedChild(work, tmp_path / "log")

    def end(place: Running[Work], ended: Ended) -> None:
        running.remove(place.job)
        ends.append((place.job, ended.code, place.exceeded))
        if len(ends) <= again:
            waiting.append(place.job)

    take = lambda: waiting.pop(0) if waiting else None  # noqa: E731
    Pool[Work]([Slot(1)] * slots, take, start, end, is_over, limits=limits or Limits()).run()
    return ends


def wait() -> int:
    time.sleep(100)
    return 0


def test_all_jobs_run_and_each_end_is_told(tmp_path: Path):
    works: list[Work] = [lambda code=code: code for code in (0, 3, 0, 4, 0)]  # type: ignore[misc]
    ends = run(tmp_path, works)
    assert sorted(code for _, code, _ in ends) == [0, 0, 0, 3, 4]
    assert {work for work, _, _ in ends} == set(works)


def test_one_slot_keeps_the_order(tmp_path: Path):
    works: list[Work] = [lambda code=code: code for code in (3, 1, 2)]  # type: ignore[misc]
    assert [code for _, code, _ in run(tmp_path, works, slots=1)] == [3, 1, 2]


def test_a_job_that_takes_too_long_is_stopped_and_the_others_go_on(tmp_path: Path):
    ends = run(tmp_path, [wait, lambda: 7, lambda: 8], limits=Limits(seconds=0.5))
    assert {(code, limit) for _, code, limit in ends} == {(-signal.SIGTERM, Limit.TIME), (7, None), (8, None)}


def hold(mebibytes: int, *, deaf: bool = False) -> int:
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    held = b"x" * (mebibytes << 20)
    time.sleep(100)
    return len(held)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of a process")
def test_a_job_that_holds_too_much_memory_is_stopped_or_killed_and_the_others_go_on(tmp_path: Path):
    before = memory.held_bytes(os.getpid())  # a child's share of what this process holds is less
    most = before + (100 << 20)
    works: list[Work] = [lambda: hold(most // 10 * 11 >> 20, deaf=False), lambda: 7]
    ends = run(tmp_path, works, limits=Limits(memory_bytes=most))
    assert {(code, limit) for _, code, limit in ends} == {(-signal.SIGTERM, Limit.MEMORY), (7, None)}
    works = [lambda: hold(most * 2 >> 20, deaf=True)]  # so far beyond that it is not waited for
    [(_, code, limit)] = run(tmp_path, works, limits=Limits(memory_bytes=most))
    assert (code, limit) == (-signal.SIGKILL, Limit.MEMORY)


def test_a_job_can_be_run_again(tmp_path: Path):
    assert [code for _, code, _ in run(tmp_path, [lambda: 3], again=2)] == [3, 3, 3]


def test_when_it_is_over_running_jobs_are_stopped_and_no_more_start(tmp_path: Path):
    marker = tmp_path / "over"

    def mark_and_wait() -> int:
        marker.touch()
        return wait()

    ends = run(tmp_path, [mark_and_wait, wait], slots=1, is_over=marker.exists)
    assert [(work, code) for work, code, _ in ends] == [(mark_and_wait, -signal.SIGTERM)]
    assert run(tmp_path, [lambda: os._exit(1)], is_over=marker.exists) == []
