"""A child does its work with its output in a file, and its end is told, whatever ended it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from support import ROOT

from ptrun.process.children import Child, Ended, ForkedChild, FreshChild, can_fork, wait_for_any


def end_of(child: Child) -> Ended:
    while (ended := child.poll()) is None:
        wait_for_any([child], 5)
    return ended


def leave() -> int:
    os._exit(9)


def raise_error() -> int:
    raise ValueError("a mistake")


def exit_by_text() -> int:
    sys.exit("no")


def kill_itself() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.mark.parametrize(
    ("work", "code", "printed"),
    [
        (lambda: 0, 0, ""),
        (lambda: 5, 5, ""),
        (leave, 9, ""),
        (raise_error, 1, "ValueError: a mistake"),
        (exit_by_text, 1, ""),
        (lambda: sys.exit(3), 3, ""),
        (kill_itself, -signal.SIGKILL, ""),
        (lambda: print("out") or print("err", file=sys.stderr) or os.system("echo of a child") or 0, 0, "of a child"),
    ],
)
def test_every_end_of_a_forked_child_is_told(tmp_path: Path, work, code: int, printed: str):
    ended = end_of(ForkedChild(work, tmp_path / "log"))
    assert ended.code == code
    assert ended.peak_bytes > 1e6
    assert printed in (tmp_path / "log").read_text()


def test_the_text_of_an_end():
    assert Ended(3).text == "ended with exit code 3"
    assert Ended(-9).text == "was killed by SIGKILL"


def test_a_fresh_child(tmp_path: Path):
    child = FreshChild(["-c", "import os; print(os.environ['WORD']); os._exit(4)"], tmp_path / "log", {"WORD": "here"})
    assert end_of(child).code == 4
    assert (tmp_path / "log").read_text() == "here\n"


def wait_with_a_child_of_its_own() -> int:
    subprocess.Popen([sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(100)"])
    time.sleep(100)
    return 0


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("kind", ["forked", "fresh"])
def test_a_child_is_stopped(tmp_path: Path, how: str, kind: str):
    log = tmp_path / "log"
    program = "import time; print('begun', flush=True); time.sleep(100)"
    if kind == "forked":
        child: Child = ForkedChild(wait_with_a_child_of_its_own, log)
    else:
        child = FreshChild(["-c", program], log, {})
    while not log.is_file() or "begun" not in log.read_text():
        assert child.poll() is None
    getattr(child, how)()
    assert end_of(child).code == -(signal.SIGTERM if how == "stop" else signal.SIGKILL)
    child.stop()  # no harm
    child.kill()
    if how == "stop":
        return
    while is_a_group(child.pid):  # until its own child is gone too
        time.sleep(0.01)


def is_a_group(number: int) -> bool:
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def run(program: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    program = "import os, signal, sys, time\nfrom pathlib import Path\nfrom ptrun.process.children import *\n" + program
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_a_child_is_told_to_stop_when_its_parent_dies(tmp_path: Path):
    program = f"""
    def work():
        signal.signal(signal.SIGTERM, lambda *_: (print("told", flush=True), os._exit(0)))
        print("begun", flush=True)
        time.sleep(100)
    log = Path({str(tmp_path / "log")!r})
    ForkedChild(work, log)
    while "begun" not in (log.read_text() if log.is_file() else ""):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run(textwrap.dedent(program)).returncode == -signal.SIGKILL
    while "told" not in (tmp_path / "log").read_text():
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
def test_a_process_that_has_computed_with_threads_is_not_forked():
    program = """
    import numpy, threading, torch
    print(can_fork())
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    print(can_fork())
    event.set()
    thread.join()
    while not can_fork():  # the system takes a moment to forget a thread
        time.sleep(0.01)
    torch.set_num_threads(2)
    torch.ones(1000000).exp().sum()
    print(can_fork())
    """
    assert run(textwrap.dedent(program)).stdout.split() == ["True", "False", "False"]


def test_this_process_says_whether_it_can_fork():
    assert can_fork() in (True, False)
