"""Processes that work ahead of the training process: requests go out in order, results come back in that order.

Request k goes to worker k % num_workers, through a pipe that only this worker and the training process hold. So a
worker that dies is noticed at once, because its pipe ends, and no other worker waits for it. torch's DataLoader polls
a queue instead, and the worker that died may have locked it. No lock, file or thread is used here.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import multiprocessing
import os
import random
import select
import signal
import sys
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from ptrun import plugins
from ptrun.errors import PtrunError, ResourceError
from ptrun.rng import mix_seed

PREFETCH_FACTOR = 2  # requests that each worker holds: the next one is there when it finishes one
# A forked worker shares all that this process has read. System libraries of macOS do not survive a fork.
START_METHOD = "fork" if sys.platform == "linux" else "spawn"
PARENT_CHECK_MS = 5000  # how often an idle worker looks whether its parent is alive
EXIT_TIMEOUT_SECONDS = 1.0  # for a worker to finish its request before it is killed

Request = TypeVar("Request")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    pipe: Connection


@dataclass(frozen=True)
class _Raised:
    """Sent by a worker instead of a result: the error to raise."""

    error: Exception


class WorkerPool(Generic[Request, Result]):
    """Calls `work` on requests, in processes that start with the first request; in this process for 0 workers.

    Requests and results are pickled, so they should be small.
    """

    def __init__(self, work: Callable[[Request], Result], num_workers: int, seed: int = 0) -> None:
        self._work, self._num_workers, self._seed = work, num_workers, seed
        self._workers: list[_Worker] = []
        self._pending: deque[_Worker] = deque()  # the worker of each request without a result, oldest first
        self._current_pass = 0
        _POOLS.add(self)

    def imap(self, requests: Iterable[Request]) -> Iterator[Result]:
        """The results of all requests, in order. A new pass ends the one before it.

        PREFETCH_FACTOR * num_workers requests are taken ahead of the result that is waited for.
        Raises what `work` raised when its result is due, and ResourceError for a worker that died.
        """
        if self._num_workers == 0:
            yield from map(self._work, requests)
            return
        if not self._workers:
            self._start()
        self._current_pass += 1
        this_pass = self._current_pass
        while self._pending:  # results of a pass that was not finished
            self._receive()
        addressed = zip(requests, itertools.cycle(self._workers), strict=False)
        for request, worker in itertools.islice(addressed, PREFETCH_FACTOR * self._num_workers):
            self._send(worker, request)
        while self._pending and self._current_pass == this_pass:
            result = self._receive()
            for request, worker in itertools.islice(addressed, 1):
                self._send(worker, request)
            if isinstance(result, _Raised):
                raise result.error
            yield result

    def close(self) -> None:
        """End the processes. The next pass starts new ones."""
        workers, self._workers = self._workers, []
        self._pending.clear()
        for worker in workers:
            worker.pipe.close()
        for worker in workers:
            worker.process.join(EXIT_TIMEOUT_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()

    def _start(self) -> None:
        context: Any = multiprocessing.get_context(START_METHOD)
        try:
            for number in range(self._num_workers):
                parent_end, worker_end = context.Pipe()
                inherited = [*_parent_ends(), parent_end] if START_METHOD == "fork" else []
                seed = mix_seed(self._seed, number)
                process = context.Process(
                    target=_run_worker,
                    args=(plugins.LoadOnUnpickling(), self._work, worker_end, inherited, os.getpid(), seed),
                    name=f"data worker {number}",
                    daemon=True,
                )
                process.start()
                worker_end.close()
                self._workers.append(_Worker(process, parent_end))
        except OSError as error:
            self.close()
            raise ResourceError(
                f"The data workers can't be started: {error.strerror or error}. Use fewer train.num_workers."
            ) from error

    def _send(self, worker: _Worker, request: Request) -> None:
        with contextlib.suppress(OSError):  # The worker died: `_receive` raises this when the result is due.
            worker.pipe.send(request)
        self._pending.append(worker)

    def _receive(self) -> Any:
        """The next result. Raises ResourceError when its worker process died."""
        worker = self._pending.popleft()
        try:
            return worker.pipe.recv()
        except (EOFError, OSError) as error:
            worker.process.join(EXIT_TIMEOUT_SECONDS)
            message = _explain_death(worker.process.exitcode)
            self.close()
            raise ResourceError(message) from error


_POOLS: weakref.WeakSet[WorkerPool[Any, Any]] = weakref.WeakSet()


def _close_all() -> None:
    for pool in list(_POOLS):
        pool.close()


# Runs before multiprocessing's own exit handler, which sends SIGTERM: workers ignore the first one and would be waited
# for without end.
atexit.register(_close_all)


def _parent_ends() -> list[Connection]:
    """This process's ends of all pipes.

    A forked worker closes them: an open copy would keep other workers from noticing that this process died.
    """
    return [worker.pipe for pool in _POOLS for worker in pool._workers]


def _run_worker(
    _: object, work: Callable[[Any], Any], pipe: Connection, inherited: list[Connection], parent_id: int, seed: int
) -> None:
    """What a worker process does. The first argument loads plugins when it is unpickled."""
    for end in inherited:
        end.close()
    _ignore_first_signals()
    torch.set_num_threads(1)  # Workers share the cores; also, the threads of OpenMP do not survive a fork.
    # For plugins that use the global generators, which would be equal in all workers.
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    poll = select.poll()
    poll.register(pipe.fileno(), select.POLLIN)
    with contextlib.suppress(EOFError, OSError):  # The parent closed the pipe or died.
        while True:
            while not poll.poll(PARENT_CHECK_MS):
                if os.getppid() != parent_id:
                    return
            pipe.send(_result_or_error(work, pipe.recv()))


def _result_or_error(work: Callable[[Any], Any], request: Any) -> Any:
    try:
        return work(request)
    except PtrunError as error:
        return _Raised(error)
    except Exception as error:  # noqa: BLE001 - raised again in the parent
        # Errors of other classes may not survive pickling.
        kind = MemoryError if isinstance(error, MemoryError) else RuntimeError
        return _Raised(kind(f"in a data worker:\n{traceback.format_exc()}"))


def _explain_death(exit_code: int | None) -> str:
    """Why a worker died, and what to do."""
    number = -(exit_code or 0)
    if exit_code is None or number == signal.SIGKILL:
        reason = (
            "it was killed, most likely by the system because memory ran out. Use fewer train.num_workers or a smaller "
            "train.batch_size (with train.num_workers=0 you see whether the data are the cause)"
        )
    elif number > 0:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        reason = f"it was ended by {name}. With train.num_workers=0 you see whether the data are the cause"
    else:
        reason = f"it exited with code {exit_code}. With train.num_workers=0 you see why"
    return f"A data worker died: {reason}."


def _ignore_first_signals() -> None:
    """Ignore the first of each signal: the parent stops at a step boundary, then ends its workers.

    A second one ends the worker.
    """
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _ignore_once)


def _ignore_once(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
