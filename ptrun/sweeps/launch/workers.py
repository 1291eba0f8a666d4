"""The workers of a sweep that were started elsewhere, as the command that started them sees them.

A worker is `ptrun sweep work FOLDER`: it takes jobs from the folder until none is left, and may be killed at any time.
Nothing travels but through the folder.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ptrun.errors import ConfigError
from ptrun.process.children import Ended

# Of a worker that came to its end: all jobs are done, or some have failed, which their own folders tell.
USUAL_CODES = (0, 1)
_SAVE_SECONDS = 40.0  # at most, in which a worker saves its jobs
_POLL_SECONDS = 0.1


class Workers(Protocol):
    """Workers that were started. text: who they are, and where."""

    text: str

    def are_alive(self) -> bool:
        """Whether one of them runs, or is still to run."""

    def problems(self) -> list[str]:
        """A sentence on each worker that could not work, once for each."""

    def stop(self) -> str:
        """Stop them, if they are this process's to stop. Returns a sentence on what has become of them."""


@dataclass
class WorkerProcess:
    """A worker that is a child process, or a command that starts it elsewhere and waits for it.

    log: where its output goes, from `start` on. describe: its exit code and last line as a sentence.
    """

    process: subprocess.Popen[bytes]
    log: Path
    start: int
    describe: Callable[[int, str], str]
    is_told: bool = False

    def problem(self) -> str:
        """Why it could not work; "" when it runs or has worked, or was asked already."""
        code = self.process.poll()
        if code is None or code in USUAL_CODES or self.is_told:
            return ""
        self.is_told = True
        return self.describe(code, last_line(self.log, self.start))


@dataclass
class Processes:
    """Workers that are child processes of this one."""

    text: str
    workers: list[WorkerProcess] = field(default_factory=list)

    def are_alive(self) -> bool:
        """Whether a process runs."""
        return any(worker.process.poll() is None for worker in self.workers)

    def problems(self) -> list[str]:
        """A sentence on each process that ended with neither 0 nor 1, once for each."""
        return [problem for worker in self.workers if (problem := worker.problem())]

    def stop(self) -> str:
        """Ask all to stop, and wait for them. A worker with an input stops when that ends, wherever it runs."""
        running = [worker for worker in self.workers if worker.process.poll() is None]
        for worker in running:
            worker.is_told = True
            if worker.process.stdin:
                worker.process.stdin.close()
            else:
                _signal_group(worker.process, signal.SIGTERM)
        for worker in running:
            worker.process.wait()
            _wait_for_group(worker.process)
        return "The workers were stopped."

    def add(self, words: Sequence[str], folder: Path, describe: Callable[[int, str], str], *, has_input: bool) -> None:
        """Start one more. Raises OSError.

        has_input: whether it gets an input that stays open until the worker is to stop, or until this process ends.
        """
        log = log_of(folder, len(self.workers))
        with log.open("ab") as output:
            start = output.tell()
            # In a session of its own: Ctrl-C reaches this process, which then stops the workers.
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.workers.append(WorkerProcess(process, log, start, describe))


def work_words(folder: Path, *flags: str, python: str | None = None) -> list[str]:
    """The command of a worker. python: the program that runs it; None: that of this process."""
    return [python or sys.executable, "-m", "ptrun", "sweep", "work", str(folder.resolve()), "-q", *flags]


def split_words(key: str, text: str) -> list[str]:
    """The words of a setting that is written as for a shell. Raises ConfigError where a quotation mark is open."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(
            f"{key}: {text} can't be divided into words ({str(error).lower()}): each quotation mark needs a second one."
        ) from error


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to a command and to what it has started, as a shell the worker. Returns False when all have ended.

    The jobs of a worker are in groups of their own: it stops them itself.
    """
    if not hasattr(os, "killpg"):
        process.terminate()
        return False
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # the latter on macOS, of processes that nobody has waited for
        return False
    return True


def _wait_for_group(process: subprocess.Popen[bytes]) -> None:
    """Wait for what a command has left behind: a shell ends at once by a signal, and the worker saves its jobs."""
    end = time.monotonic() + _SAVE_SECONDS
    while _signal_group(process, 0) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


def log_of(folder: Path, number: int) -> Path:
    """Where the output of a worker goes that this command starts."""
    return folder / f"worker-{number}.log"


def last_line(log: Path, start: int = 0) -> str:
    """The last line of a file that says something, from this byte on."""
    text = log.read_bytes()[start:].decode("utf-8", errors="replace")
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it printed nothing")


def worker_ended_text(number: int, code: int, line: str) -> str:
    """`ended_text` of the worker with a number."""
    return f"worker {number} {ended_text(code, line)}"


def ended_text(code: int, line: str) -> str:
    """How a worker ended, and the last line that it printed."""
    return f"{Ended(code).text}: {line}"
