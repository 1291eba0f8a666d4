"""A lock keeps other processes out until its process ends."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, train

from ptrun.errors import ConfigError
from ptrun.files.lock import is_locked, lock, wait_for_lock, wait_until_free


def test_a_folder_belongs_to_one_holder(tmp_path: Path):
    with lock(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"), lock(tmp_path):
            pass
    assert not is_locked(tmp_path)
    with lock(tmp_path):
        pass


def run(program: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)})


@contextmanager
def holder(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """The process of a program, from when it has told that it holds the lock."""
    with run(program, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_killed_process_releases_its_lock(tmp_path: Path):
    program = (
        "import sys, time; from pathlib import Path; from ptrun.files.lock import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    with holder(program, tmp_path) as process:
        assert is_locked(tmp_path)
        process.kill()
        process.wait()
    assert not is_locked(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_worker_that_outlives_its_process_does_not_hold_the_lock(tmp_path: Path):
    program = (
        "import os, sys; from pathlib import Path; from ptrun.files.lock import lock\n"
        "with lock(Path(sys.argv[1])):\n"
        "    read, write = os.pipe()\n"
        "    worker = os.fork()\n"
        "    if worker: print(worker, flush=True); os._exit(9)\n"
        "    os.close(1); os.close(2); os.read(read, 1)"
    )
    with run(program, tmp_path) as process:
        out, _ = process.communicate()
    assert process.returncode == 9
    try:
        assert not is_locked(tmp_path)
    finally:
        os.kill(int(out), signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such lock")
def test_who_waits_gets_the_lock_when_the_holder_leaves(tmp_path: Path):
    path = tmp_path / "cache.lock"
    program = (
        "import sys; from pathlib import Path; from ptrun.files.lock import wait_for_lock\n"
        "print('waits', flush=True)\n"
        "with wait_for_lock(Path(sys.argv[1])): print('holds', flush=True)"
    )
    with wait_for_lock(path):
        process = run(program, path)
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        assert process.poll() is None
    out, _ = process.communicate()
    assert out == "holds\n"


@pytest.fixture
def failing_flock(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    """The system's flock, as on a file system that answers with an error."""
    fcntl = pytest.importorskip("fcntl")

    def fail(file: Any, operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", fail)
    return int(request.param)


@pytest.mark.parametrize(
    "failing_flock",
    [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS],
    indirect=True,
    ids=errno.errorcode.get,
)
def test_a_file_system_without_locks_is_worked_on_unlocked(tmp_path: Path, failing_flock: int):
    with lock(tmp_path) as problem:
        assert problem == os.strerror(failing_flock)
        assert not is_locked(tmp_path)
    with wait_for_lock(tmp_path / "cache.lock"):
        pass


@pytest.mark.parametrize("failing_flock", [errno.EWOULDBLOCK, errno.EACCES], indirect=True, ids=errno.errorcode.get)
def test_a_lock_that_another_holds_is_in_use(tmp_path: Path, failing_flock: int):
    assert is_locked(tmp_path)


@pytest.mark.parametrize("failing_flock", [errno.ENOLCK], indirect=True)
def test_a_run_on_a_file_system_without_locks_says_so(folder: Path, failing_flock: int, capsys: Any):
    train("dataset=iris", "model=simplenet", "train.epochs=1")
    assert f"can't be locked ({os.strerror(failing_flock)})" in " ".join(capsys.readouterr().out.split())


def test_waiting_until_a_folder_is_free(tmp_path: Path):
    wait_until_free(tmp_path)
    program = (
        "import sys, time; from pathlib import Path; from ptrun.files.lock import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(0.3); Path(sys.argv[1], 'end').touch()"
    )
    with holder(program, tmp_path):
        wait_until_free(tmp_path)
        assert (tmp_path / "end").exists()
