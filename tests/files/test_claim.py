"""A claim is one process's; that of another machine counts while its record is fresh by the file system's clock."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

from ptrun.files.claim import STALE_SECONDS, Claim, claim, held, holder
from ptrun.files.lock import try_lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such lock")


def claimed(path: Path, token: str = "") -> Claim:
    made = claim(path, token)
    assert made is not None
    return made


def record(path: Path) -> Path:
    """The file beside a claim that says whose it is."""
    [found] = path.parent.glob(f"{path.name}-*")
    return found


def by_another_machine(path: Path, seconds: float) -> None:
    """Let a process of another machine, whose locks nobody here sees, have the claim, and have it told so then."""
    made = claimed(path)
    made.close()
    values = json.loads(record(path).read_text()) | {"peers": "another system", "host": "far"}
    record(path).write_text(json.dumps(values))
    let_pass(path, seconds)


def let_pass(path: Path, seconds: float) -> None:
    written = record(path).stat().st_mtime - seconds
    os.utime(record(path), (written, written))


def test_a_claim_is_one_process_s_until_it_is_released(tmp_path: Path):
    path = tmp_path / "claim"
    assert holder(path) == ""
    first = claimed(path)
    assert claim(path) is None
    assert holder(path) == socket.gethostname()
    first.release()
    assert holder(path) == ""
    assert [entry.name for entry in tmp_path.iterdir()] == ["claim"]
    claimed(path).release()


def test_on_one_machine_the_death_of_the_holder_frees_a_claim_at_once(tmp_path: Path):
    program = (
        "import os, sys; from pathlib import Path; from ptrun.files.claim import claim\n"
        "made = claim(Path(sys.argv[1])); os._exit(0 if made else 1)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "claim")]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(ROOT)})
    assert holder(tmp_path / "claim") == ""
    claimed(tmp_path / "claim").release()


def test_the_claim_of_another_machine_counts_while_its_record_is_fresh(tmp_path: Path):
    path = tmp_path / "claim"
    by_another_machine(path, STALE_SECONDS - 5)
    assert holder(path) == "far"
    assert claim(path) is None
    let_pass(path, STALE_SECONDS)
    assert holder(path) == ""
    claimed(path).release()


def test_a_beat_keeps_a_claim_and_finds_out_that_it_is_lost(tmp_path: Path):
    path = tmp_path / "claim"
    first = claimed(path)
    let_pass(path, 1000)
    before = record(path).stat().st_mtime
    assert first.beat()
    assert record(path).stat().st_mtime > before + 900
    first.close()
    by_another_machine(path, 0)
    assert not first.beat()
    assert not first.regain()
    first.release()
    assert holder(path) == "far"
    record(path).unlink()
    assert not first.beat()


def test_a_claim_is_regained_unless_another_process_has_had_it(tmp_path: Path):
    path = tmp_path / "claim"
    first = claimed(path)
    first.close()
    assert first.regain()
    first.close()
    second = claimed(path)
    assert not first.regain()
    second.release()
    assert not first.regain()


def test_who_only_looks_at_a_claim_does_not_take_it(tmp_path: Path):
    path = tmp_path / "claim"
    first = claimed(path)
    first.close()
    looking = path.open("a+")
    try_lock(looking)
    threading.Timer(0.1, looking.close).start()
    assert first.regain()
    first.release()


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_record_that_is_being_written_counts(tmp_path: Path, content: str):
    path = tmp_path / "claim"
    claimed(path).close()
    record(path).write_text(content)
    assert claim(path) is None
    let_pass(path, STALE_SECONDS)
    claimed(path).release()


@pytest.fixture
def _no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no locks."""
    fcntl = pytest.importorskip("fcntl")

    def fail(file: Any, operation: int) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", fail)


@pytest.mark.usefixtures("_no_locks")
def test_without_locks_the_record_decides_on_one_machine_too(tmp_path: Path):
    path = tmp_path / "claim"
    first = claimed(path)
    assert claim(path) is None
    assert holder(path) == socket.gethostname()
    first.close()
    assert first.regain()
    first.close()
    let_pass(path, STALE_SECONDS)
    claimed(path).release()


@pytest.mark.usefixtures("_no_locks")
@pytest.mark.parametrize("is_stale", [False, True])
def test_of_many_who_try_at_once_without_locks_one_gets_the_claim(tmp_path: Path, is_stale: bool):
    for number in range(20):
        path = tmp_path / str(number)
        if is_stale:
            by_another_machine(path, STALE_SECONDS)
        start, made = threading.Barrier(8), list[Claim | None]()

        def attempt(path: Path = path, start: threading.Barrier = start, made: list[Claim | None] = made) -> None:
            start.wait()
            made.append(claim(path))

        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept = [one for one in made if one is not None and one.beat()]
        assert len(kept) == 1
        for one in made:
            if one is not None:
                one.release()


def test_a_claim_is_held_for_a_moment_by_one_after_the_other(tmp_path: Path):
    path = tmp_path / "plan"
    by_another_machine(path, 0)
    entered = threading.Event()

    def enter() -> None:
        with held(path):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.3)
    record(path).unlink()
    thread.join()
    assert entered.is_set()
    assert holder(path) == ""
