"""Work beside the training is done in order, and its errors are raised."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial

import pytest
from support import ROOT

from ptrun.errors import ResourceError
from ptrun.process.background import BackgroundWorker


def fail() -> None:
    raise ResourceError("full")


def test_an_error_is_raised_once_by_the_next_call():
    worker = BackgroundWorker()
    worker.start(fail)
    with pytest.raises(ResourceError, match="full"):
        worker.wait()
    worker.wait()
    worker.start(fail)
    with pytest.raises(ResourceError, match="full"):
        worker.wait()


def test_the_newest_replaces_what_waits_unless_that_is_essential():
    begun, go, done = threading.Event(), threading.Event(), []
    worker = BackgroundWorker()
    worker.start(lambda: (begun.set(), go.wait(), done.append("first")))
    begun.wait()
    for name, essential in (("a", False), ("b", True), ("c", True), ("d", False), ("e", False)):
        worker.start(partial(done.append, name), essential=essential)
    go.set()
    worker.wait()
    assert done == ["first", "c", "e"]


def test_a_pause_delays_the_first_work_too_unless_somebody_waits():
    done: list[str] = []
    worker = BackgroundWorker(pause_seconds=3600.0)
    assert not worker.is_ready()
    worker.start(partial(done.append, "best"), essential=True)
    assert done == []
    worker.wait()
    assert done == ["best"]


def test_a_worker_without_a_pause_is_ready_until_it_works():
    worker, go = BackgroundWorker(), threading.Event()
    assert worker.is_ready()
    worker.start(go.wait)
    assert not worker.is_ready()
    go.set()
    worker.wait()
    assert worker.is_ready()


def test_a_process_that_ends_waits_for_the_work():
    program = (
        "import time; from ptrun.process.background import BackgroundWorker\n"
        "BackgroundWorker().start(lambda: (time.sleep(0.3), print('done', flush=True)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == "done\n"
