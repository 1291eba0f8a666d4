"""Results come in order, errors and deaths of workers are raised when their result is due, and no worker stays."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ptrun.data.loading.worker_pool import PREFETCH_FACTOR, WorkerPool
from ptrun.errors import DataError, ResourceError

CPU = torch.device("cpu")
# Each process that is not forked imports torch.
METHODS = ["fork", pytest.param("spawn", marks=pytest.mark.slow)] if sys.platform == "linux" else ["spawn"]
MakePool = Callable[..., WorkerPool[Any, Any]]


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    """Makes pools that are closed after the test."""
    pools: list[WorkerPool[Any, Any]] = []

    def make(*args: Any) -> WorkerPool[Any, Any]:
        pools.append(WorkerPool(*args))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def twice(number: int) -> int:
    return 2 * number


def who(_: int) -> tuple[int, int, float, float, float]:
    return os.getpid(), torch.get_num_threads(), random.random(), float(np.random.random()), float(torch.rand(()))


def fail_at_three(how: str, number: int) -> int:
    if number != 3:
        return number
    if how == "exit":
        os._exit(7)
    if how == "data":
        raise DataError("row 3 is empty.")
    if how == "memory":
        raise MemoryError("no more")
    if how == "bug":
        raise ZeroDivisionError("by three")
    os.kill(os.getpid(), signal.Signals[how])
    return number


@pytest.mark.parametrize("count", [0, 1, 3])
def test_results_come_in_order_and_requests_are_taken_as_they_are_needed(make_pool: MakePool, count: int):
    taken: list[int] = []

    def requests() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    results = []
    for result in make_pool(twice, count).imap(requests()):
        results.append(result)
        assert len(taken) == min(20, len(results) + PREFETCH_FACTOR * count)
    assert results == [2 * number for number in range(20)]


def test_a_pass_that_was_not_finished_leaves_nothing_to_the_next(make_pool: MakePool):
    pool = make_pool(twice, 2)
    first = pool.imap(range(10))
    assert [next(first), next(first), next(first)] == [0, 2, 4]
    assert list(pool.imap(range(50, 53))) == [100, 102, 104]
    assert list(first) == []
    assert list(pool.imap([])) == []
    assert list(pool.imap([7])) == [14]


def test_each_worker_is_a_process_with_one_thread_and_random_numbers_of_its_own(make_pool: MakePool):
    results = list(make_pool(who, 2, 5).imap(range(4)))
    assert results[0][0] == results[2][0] != results[1][0] == results[3][0]
    assert os.getpid() not in {result[0] for result in results}
    assert {result[1] for result in results} == {1}
    numbers = [number for result in results for number in result[2:]]
    assert len(set(numbers)) == len(numbers)
    again = make_pool(who, 2, 5).imap(range(4))
    assert [result[2:] for result in again] == [result[2:] for result in results]


DEATHS = {
    "SIGKILL": "it was killed, most likely by the system because memory ran out",
    "SIGXCPU": "it was ended by SIGXCPU",
    "exit": "it exited with code 7",
}


@pytest.mark.parametrize("how", DEATHS)
@pytest.mark.parametrize("count", [1, 2])
def test_a_death_is_raised_when_the_result_is_due(make_pool: MakePool, how: str, count: int):
    results = make_pool(partial(fail_at_three, how), count).imap(range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ResourceError, match=f"A data worker died: {DEATHS[how]}"):
        next(results)


def test_workers_start_again_after_a_death(make_pool: MakePool):
    pool = make_pool(partial(fail_at_three, "SIGKILL"), 2)
    with pytest.raises(ResourceError):
        list(pool.imap(range(9)))
    assert list(pool.imap([4, 5])) == [4, 5]


ERRORS: dict[str, tuple[type[BaseException], str]] = {
    "data": (DataError, "^row 3 is empty.$"),
    "memory": (MemoryError, "no more"),
    "bug": (RuntimeError, "(?s)in a data worker:.*in fail_at_three.*ZeroDivisionError: by three"),
}


@pytest.mark.parametrize("how", ERRORS)
def test_an_error_is_raised_when_the_result_is_due(make_pool: MakePool, how: str):
    kind, text = ERRORS[how]
    pool = make_pool(partial(fail_at_three, how), 2)
    results = pool.imap(range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(kind, match=text):
        next(results)
    assert list(pool.imap([8])) == [8]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open")
@pytest.mark.parametrize("method", METHODS)
def test_workers_end_when_their_process_is_killed(method: str, tmp_path: Path):
    """By the end of their pipe, also when workers that were forked later have inherited it."""
    (tmp_path / "without_check.py").write_text(  # a worker imports it, so that it never looks whether its parent lives
        "import os\n"
        "from ptrun.data.loading import worker_pool\n"
        "worker_pool.PARENT_CHECK_MS = 1_000_000\n"
        "def who(_): return os.getpid()\n"
    )
    program = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from ptrun.data.loading import worker_pool as workers; from without_check import who\n"
        f"workers.START_METHOD = {method!r}\n"
        "if __name__ == '__main__':\n"
        "    pools = [workers.WorkerPool(who, 2) for _ in range(2)]\n"
        "    print(*{result for pool in pools for result in pool.imap(range(4))}, flush=True)\n"
        "    sys.stdin.read(1); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        handles = [os.pidfd_open(int(pid)) for pid in process.stdout.readline().split()]
        assert len(handles) == 4
        assert process.stdin is not None
        process.stdin.close()  # `communicate` would wait for the workers too, which hold stdout
        process.wait(60)
        for handle in handles:
            assert select.select([handle], [], [], 60)[0], "a worker is still alive"
            os.close(handle)
