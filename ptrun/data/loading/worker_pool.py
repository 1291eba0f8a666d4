"""Processes that work ahead of this one: requests go out in order, and their answers come back in that order.

Invariant: request k goes to worker k % count through a pipe that these two alone hold. So a worker that dies is noticed at
once, whatever it was doing, and holds up nobody; a worker whose process died ends too. No lock, file or thread is involved.
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

AHEAD = 2  # requests that each worker has, so that it need not wait for the next
# A fork shares all that this process has read; macOS has system libraries that don't survive one.
START_METHOD = "fork" if sys.platform == "linux" else "spawn"
PARENT_CHECK_MS = 5000
PATIENCE_SECONDS = 1.0  # for a worker to finish what it is doing, before it is killed

Request = TypeVar("Request")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    pipe: Connection


@dataclass(frozen=True)
class _Raised:
    """What a worker sends instead of an answer: the error to raise."""

    error: Exception


class Workers(Generic[Request, Answer]):
    """Does `work` on requests, in `count` processes that start when they are first needed; with none, in this process.

    Requests and answers should be small: they are pickled.
    """

    def __init__(self, work: Callable[[Request], Answer], count: int, seed: int = 0) -> None:
        self._work, self._count, self._seed = work, count, seed
        self._running: list[_Worker] = []
        self._asked: deque[_Worker] = deque()  # for the answers still to come
        self._pass = 0
        _ALL.add(self)

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """The answers to all requests. Requests are taken AHEAD * count before their answers are asked for; a new pass ends the one before.

        Raises what `work` raised, when its answer is due, and ResourceError for a worker that died.
        """
        if self._count == 0:
            yield from map(self._work, requests)
            return
        if not self._running:
            self._start()
        self._pass += 1
        this_pass = self._pass
        while self._asked:  # of a pass that was broken off
            self._receive()
        addressed = zip(requests, itertools.cycle(self._running), strict=False)
        for request, worker in itertools.islice(addressed, AHEAD * self._count):
            self._ask(worker, request)
        while self._asked and self._pass == this_pass:
            answer = self._receive()
            for request, worker in itertools.islice(addressed, 1):
                self._ask(worker, request)
            if isinstance(answer, _Raised):
                raise answer.error
            yield answer

    def close(self) -> None:
        """End the processes; they start again when they are needed."""
        ending, self._running = self._running, []
        self._asked.clear()
        for worker in ending:
            worker.pipe.close()
        for worker in ending:
            worker.process.join(PATIENCE_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()

    def _start(self) -> None:
        context: Any = multiprocessing.get_context(START_METHOD)
        try:
            for number in range(self._count):
                here, there = context.Pipe()
                inherited = [*_ends(), here] if START_METHOD == "fork" else []
                process = context.Process(
                    target=_serve,
                    args=(plugins.Loaded(), self._work, there, inherited, os.getpid(), mix_seed(self._seed, number)),
                    name=f"data worker {number}",
                    daemon=True,
                )
                process.start()
                there.close()
                self._running.append(_Worker(process, here))
        except OSError as error:
            self.close()
            raise ResourceError(
                f"The data workers can't be started: {error.strerror or error}. Use fewer train.num_workers."
            ) from error

    def _ask(self, worker: _Worker, request: Request) -> None:
        with contextlib.suppress(OSError):  # of one that died, which is told when its answer is due
            worker.pipe.send(request)
        self._asked.append(worker)

    def _receive(self) -> Any:
        worker = self._asked.popleft()
        try:
            return worker.pipe.recv()
        except (EOFError, OSError) as error:
            worker.process.join(PATIENCE_SECONDS)
            told = _death(worker.process.exitcode)
            self.close()
            raise ResourceError(told) from error


_ALL: weakref.WeakSet[Workers[Any, Any]] = weakref.WeakSet()


def _close_all() -> None:
    for workers in list(_ALL):
        workers.close()


# Before Python's own way at exit, a SIGTERM, which workers let pass once.
atexit.register(_close_all)


def _ends() -> list[Connection]:
    """This process's ends of all pipes; a worker that held one would keep its neighbour from noticing that this process died."""
    return [worker.pipe for workers in _ALL for worker in workers._running]


def _serve(
    _: object, work: Callable[[Any], Any], pipe: Connection, inherited: list[Connection], parent_id: int, seed: int
) -> None:
    """The life of a worker."""
    for end in inherited:
        end.close()
    _calm()
    torch.set_num_threads(1)  # the cores are shared with the other workers; also, OpenMP's threads don't survive a fork
    # For plugins that draw from the global states, which else would be equal in all workers.
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    poll = select.poll()
    poll.register(pipe.fileno(), select.POLLIN)
    with contextlib.suppress(EOFError, OSError):  # the process that asks is no more, or wants no more
        while True:
            while not poll.poll(PARENT_CHECK_MS):
                if os.getppid() != parent_id:
                    return
            pipe.send(_answer(work, pipe.recv()))


def _answer(work: Callable[[Any], Any], request: Any) -> Any:
    try:
        return work(request)
    except PtrunError as error:
        return _Raised(error)
    except Exception as error:  # noqa: BLE001 (raised again in the process that asked)
        kind = MemoryError if isinstance(error, MemoryError) else RuntimeError  # any other might not survive the pipe
        return _Raised(kind(f"in a data worker:\n{traceback.format_exc()}"))


def _death(exit_code: int | None) -> str:
    """A worker that died, as a sentence with the likely cause."""
    number = -(exit_code or 0)
    if exit_code is None or number == signal.SIGKILL:
        reason = "it was killed, most likely by the system because memory ran out. Use fewer train.num_workers or a smaller train.batch_size (train.num_workers=0 shows whether it is the data)"
    elif number > 0:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        reason = f"it was ended by {name}. train.num_workers=0 shows whether it is the data, and which"
    else:
        reason = f"it left with exit code {exit_code}. train.num_workers=0 shows why"
    return f"A data worker died: {reason}."


def _calm() -> None:
    """Leave the first signal to the main process, which stops at a step boundary; a second one ends the worker too."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _let_pass_once)


def _let_pass_once(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
