"""Starts the workers of a sweep as tasks of Ray, which starts them again where one was killed or its machine was lost.

A task runs its worker as a process of its own, because a worker forks its jobs, and a process of Ray has threads.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptrun.config.sweep import SweepSettings
from ptrun.errors import ConfigError, ResourceError
from ptrun.sweeps.launch.workers import USUAL_CODES, last_line, log_of, work_words, worker_ended_text

_POLL_SECONDS = 0.2
_KILLED = -9  # exit code


class WorkerKilled(Exception):
    """A worker was killed from outside, so that its task is to be run again."""


@dataclass
class RayTasks:
    """Workers that Ray runs. is_ours: whether this process has connected to Ray, and is to disconnect."""

    text: str
    folder: Path
    tasks: list[Any]
    is_ours: bool
    waiting: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = list(self.tasks)

    def are_alive(self) -> bool:
        """Whether a task runs, or is still to run."""
        return bool(_running(self.tasks))

    def problems(self) -> list[str]:
        """A sentence on each task that has ended without coming to the end of its work, once for each."""
        running = _running(self.waiting)
        ended = [task for task in self.waiting if task not in running]
        self.waiting = running
        return [problem for task in ended if (problem := self._problem(task))]

    def stop(self) -> str:
        """Ask all to stop, and wait until they have saved their jobs."""
        ray = _ray()
        for task in self.waiting:
            ray.cancel(task)
        while running := _running(self.waiting):
            ray.wait(running, timeout=1)  # not longer: a signal has to be heard
        self.waiting = []
        if self.is_ours:
            ray.shutdown()
        return "The workers were stopped."

    def _problem(self, task: Any) -> str:
        ray, number = _ray(), self.tasks.index(task)
        try:
            code = ray.get(task)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            return f"worker {number} could not be run by Ray: {str(cause).strip().splitlines()[-1]}"
        line = last_line(log_of(self.folder, number))
        return "" if code in USUAL_CODES else worker_ended_text(number, code, line)


def check() -> None:
    """Raise ConfigError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            "sweep.launch=ray: the package ray is needed, and is not installed. Install it, on all machines of the "
            'cluster: pip install "ptrun[ray]". sweep.launch=ssh and sweep.launch=command need nothing.'
        )


def start(settings: SweepSettings, folder: Path) -> RayTasks:
    """Start sweep.workers tasks, on the cluster of RAY_ADDRESS or of `ray start`, else on this machine.

    Raises ResourceError when that can't be.
    """
    ray, is_ours = _ray(), False
    if not ray.is_initialized():
        is_ours = True
        with _own_signals(), warnings.catch_warnings(action="ignore"):
            _connect(ray)
    needs = {"CPU": settings.worker_cpus, "GPU": settings.worker_gpus}
    waits = _why_waiting(ray, needs)
    task = ray.remote(run_worker).options(
        num_cpus=settings.worker_cpus,
        num_gpus=settings.worker_gpus,
        max_retries=-1,  # a worker may be killed as often as it wants
        retry_exceptions=[WorkerKilled],
    )
    tasks = [task.remote(str(folder.resolve()), number, settings.worker_cpus) for number in range(settings.workers)]
    at = os.environ.get("RAY_ADDRESS") or ray.get_runtime_context().gcs_address
    return RayTasks(
        f"{settings.workers}, tasks of Ray at {at}{waits}; worker-*.log has their output", folder, tasks, is_ours
    )


def run_worker(folder: str, number: int, cores: int) -> int:
    """Run one worker to its end, in a process of Ray, and return its exit code. Raises WorkerKilled."""
    words = work_words(Path(folder), "--until-eof", "--cores", str(cores))
    with log_of(Path(folder), number).open("ab") as output:
        # The input of the worker ends with this process, however that ends.
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True)
    assert process.stdin is not None
    try:
        while process.poll() is None:  # ray.cancel raises an exception here, but would not end a wait in the system
            time.sleep(_POLL_SECONDS)
    finally:
        process.stdin.close()
        process.wait()
    if process.returncode == _KILLED:
        raise WorkerKilled(f"Worker {number} was killed.")
    return process.returncode


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    return importlib.import_module("ray")


def _connect(ray: Any) -> None:
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        address = os.environ.get("RAY_ADDRESS")
        where = f"the cluster of RAY_ADDRESS={address} can't be reached" if address else "Ray can't be started here"
        raise ResourceError(f"sweep.launch=ray: {where} ({str(error).strip().splitlines()[0]}).") from error


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Put back the handler of SIGTERM, for which ray.init sets its own."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _why_waiting(ray: Any, needs: dict[str, int]) -> str:
    """That no machine can hold a worker now, as another may come. Raises ResourceError where none can come."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= number for name, number in needs.items()) for node in nodes):
        return ""
    wanted = f"{needs['CPU']} cores and {needs['GPU']} GPUs"
    if os.environ.get("RAY_ADDRESS"):
        return f" (no machine of it has {wanted} now, so they wait for one)"
    cores, gpus = (max((int(node.get(name, 0)) for node in nodes), default=0) for name in needs)
    ray.shutdown()
    raise ResourceError(
        f"sweep.launch=ray: a worker wants {wanted}, and this machine has {cores} and {gpus}. Lower sweep.worker_cpus "
        "or sweep.worker_gpus, or name a cluster: RAY_ADDRESS=HOST:6379 ptrun train -m ..."
    )


def _running(tasks: list[Any]) -> list[Any]:
    if not tasks:
        return []
    _, running = _ray().wait(tasks, num_returns=len(tasks), timeout=0)
    return list(running)
