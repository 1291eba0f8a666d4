"""Child processes that each do one piece of work, with their output in a file, and how each of them ended.

A forked child begins at once with everything that this process has imported. A fork is safe only while this process has
one thread that computes: a child has no copy of the others and would wait for them. Elsewhere a fresh process starts.
A child leads a process group of its own, so that it can be killed with its data workers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

TIMED_OUT = 124  # exit code for a child that took too long, as of the command `timeout`
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h
_FORK_AWARE = ("jemalloc_bg_thd",)  # names of threads
_POLL_SECONDS = 0.05  # where the system can't tell at once that a child has ended


@dataclass(frozen=True)
class Ended:
    """How a child ended. code: its exit code, or minus the number of the signal that killed it.

    peak_bytes: the most memory that it held; 0 where the system does not tell.
    """

    code: int
    peak_bytes: int = 0

    @property
    def text(self) -> str:
        """`killed by SIGKILL`, or `ended with exit code 3`."""
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        return f"was killed by {signal.Signals(-self.code).name}"


class Child(Protocol):
    """A started child process."""

    pid: int
    started: float  # time.monotonic()

    def poll(self) -> Ended | None:
        """How it ended; None while it runs."""

    def stop(self) -> None:
        """Ask it to save its state and end."""

    def kill(self) -> None:
        """End it and its own children at once."""


class ForkedChild:
    """A copy of this process that calls `work` and ends with the exit code that it returns."""

    def __init__(self, work: Callable[[], int], log: Path) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent, self.started = os.getpid(), time.monotonic()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of a process with threads
                self.pid = os.fork()
            if self.pid == 0:
                _run_and_exit(work, log, parent)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with contextlib.suppress(OSError):
            os.setpgid(self.pid, self.pid)  # in the parent too: the child may be killed before it does this itself
        self.ended: Ended | None = None

    def poll(self) -> Ended | None:
        """How it ended; None while it runs."""
        if self.ended is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                unit = 1 if sys.platform == "darwin" else 1024
                self.ended = Ended(os.waitstatus_to_exitcode(status), usage.ru_maxrss * unit)
        return self.ended

    def stop(self) -> None:
        """Ask it to save its state and end."""
        if self.ended is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it and its own children at once."""
        if self.ended is None:
            os.killpg(self.pid, signal.SIGKILL)


class FreshChild:
    """A new Python process."""

    def __init__(
        self, arguments: Sequence[str], log: Path, environment: Mapping[str, str], descriptors: Sequence[int] = ()
    ) -> None:
        """descriptors: of open files that the process gets, too."""
        self.started = time.monotonic()
        group = {"process_group": 0, "pass_fds": tuple(descriptors)} if os.name == "posix" else {}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                **group,  # type: ignore[call-overload]
            )
        self.pid = self._process.pid

    def poll(self) -> Ended | None:
        """How it ended; None while it runs."""
        code = self._process.poll()
        return None if code is None else Ended(code)

    def stop(self) -> None:
        """Ask it to save its state and end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it and its own children at once."""
        if self._process.poll() is not None:
            return
        if hasattr(os, "killpg"):
            os.killpg(self.pid, signal.SIGKILL)
        else:
            self._process.kill()


def can_fork() -> bool:
    """Whether a forked child can compute: Linux, and no threads here but those that take care of forks themselves.

    OpenBLAS and jemalloc (which pyarrow brings) restart their threads in a child. A child would wait for a thread of
    OpenMP in its first parallel computation.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return False
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return False
    pools = [pool["num_threads"] - 1 for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return len([name for name in names if name not in _FORK_AWARE]) <= 1 + int(sum(pools))


def wait_for_any(children: Sequence[Child], seconds: float) -> None:
    """Wait until a child has ended, for the given time at most, or until a signal arrives."""
    descriptors = []
    try:
        with contextlib.suppress(AttributeError, OSError):  # an older or another system
            descriptors = [os.pidfd_open(child.pid) for child in children]
        if descriptors:
            select.select(descriptors, [], [], seconds)
        else:
            time.sleep(min(seconds, _POLL_SECONDS) if children else seconds)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def stop_with_parent(parent: int) -> None:
    """Ask the system to send SIGTERM to this process when its parent dies; elsewhere than on Linux it goes on."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:  # it has died already
            os.kill(os.getpid(), signal.SIGTERM)


def _run_and_exit(work: Callable[[], int], log: Path, parent: int) -> None:
    """Never returns: what this process has open and would do at its end belongs to the parent."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if callable(signal.getsignal(number)):  # the parent's
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        stop_with_parent(parent)
        _redirect(log)
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 (the child must not return into the parent's program)
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 0xFF)


def _redirect(log: Path) -> None:
    """Append all output, also that of libraries, to a file; standard input is empty."""
    empty = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for source, target in ((empty, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (they stay open until the process ends)
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
