"""The state of the code is found without running what a checkout names."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ptrun.runs import git

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")


def call(*arguments: str) -> None:
    subprocess.run([*GIT, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(folder: Path) -> Path:
    """A repository with one commit and one changed file, in the working folder."""
    (folder / "model.py").write_text("x = 1\n")
    call("init", "-q", "-b", "main")
    call("add", "model.py")
    call("commit", "-qm", "one")
    (folder / "model.py").write_text("x = 2\n")
    return folder


def test_commit_branch_and_changes(checkout: Path):
    found = git.commit()
    assert found is not None
    assert len(found["commit"]) == 40
    assert (found["branch"], found["dirty"]) == ("main", True)
    changes = git.uncommitted_changes()
    assert changes is not None
    assert b"\n-x = 1\n+x = 2\n" in changes


def test_a_clean_checkout_has_no_changes(checkout: Path):
    call("commit", "-qam", "two")
    assert git.uncommitted_changes() is None
    found = git.commit()
    assert found is not None
    assert found["dirty"] is False


def test_asked_once_a_process_keeps_the_answers_until_the_end(checkout: Path):
    answers = git.commit(), git.uncommitted_changes()
    elsewhere = checkout / "elsewhere"
    elsewhere.mkdir()
    with git.asked_once():
        call("commit", "-qam", "two")
        assert (git.commit(), git.uncommitted_changes()) == answers
        with contextlib.chdir(elsewhere):
            assert git.commit() != answers[0]
    found = git.commit()
    assert found is not None
    assert (found["dirty"], git.uncommitted_changes()) == (False, None)


def test_a_diff_can_be_applied_again(checkout: Path):
    changes = git.uncommitted_changes()
    assert changes is not None
    call("checkout", "-q", "model.py")
    subprocess.run(["git", "apply"], input=changes, check=True)
    assert (checkout / "model.py").read_text() == "x = 2\n"


def test_outside_of_a_checkout_there_is_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert git.commit() is None
    assert git.uncommitted_changes() is None
    monkeypatch.setenv("PATH", str(folder))  # no git at all
    assert git.commit() is None


def test_a_changed_file_need_not_be_utf8(checkout: Path):
    (checkout / "model.py").write_bytes(b"name = 'caf\xe9'\n")
    changes = git.uncommitted_changes()
    assert changes is not None
    assert b"+name = 'caf\xe9'" in changes


def test_a_long_diff_is_cut_off(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(git, "_MOST_BYTES", 5000)
    (checkout / "model.py").write_text("x = 2\n" * 100_000)
    changes = git.uncommitted_changes()
    assert changes is not None
    assert changes.endswith(b"[The uncommitted changes are cut off here.]\n")
    assert len(changes) < 5100


def test_a_git_that_hangs_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch):
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git, "_TIMEOUT_SECONDS", 0.2)
    assert git.commit() is None


def filter_clean(folder: Path, program: str) -> None:
    (folder / ".gitattributes").write_text("*.py filter=evil.x=y\n")
    call("config", "filter.evil.x=y.clean", program)
    call("config", "filter.evil.x=y.required", "true")


def filter_process(folder: Path, program: str) -> None:
    (folder / ".gitattributes").write_text("*.py filter=evil\n")
    call("config", "filter.evil.process", program)


def hook(folder: Path, program: str) -> None:
    for name in ("post-index-change", "post-checkout", "pre-commit", "fsmonitor-watchman"):
        path = folder / ".git" / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{program}\n")
        path.chmod(0o755)
    os.utime(folder / "model.py")


def fsmonitor(folder: Path, program: str) -> None:
    call("config", "core.fsmonitor", program)


def external_diff(folder: Path, program: str) -> None:
    call("config", "diff.external", program)


def driver(folder: Path, program: str) -> None:
    (folder / ".gitattributes").write_text("*.py diff=evil\n")
    call("config", "diff.evil.command", program)


def textconv(folder: Path, program: str) -> None:
    (folder / ".gitattributes").write_text("*.py diff=evil\n")
    call("config", "diff.evil.textconv", program)


def pager(folder: Path, program: str) -> None:
    call("config", "core.pager", program)
    call("config", "pager.diff", program)


def submodule(folder: Path, program: str) -> None:
    """A repository within, whose own settings name the program."""
    (folder / ".git" / "hooks").mkdir(exist_ok=True)
    subprocess.run(["git", "clone", "-q", str(folder), "inner"], check=True)
    call("add", "inner")
    call("-c", "core.hooksPath=/dev/null", "commit", "-qm", "with a repository within", "--", "inner")
    call("-C", "inner", "config", "core.fsmonitor", program)
    call("config", "diff.submodule", "diff")
    (folder / "inner" / "model.py").write_text("x = 3\n")


def missing_objects(folder: Path, program: str) -> None:
    """A partial clone without the content of a file, to be fetched by the program."""
    call("config", "remote.origin.url", f"ext::{program}")
    call("config", "remote.origin.promisor", "true")
    call("config", "extensions.partialClone", "origin")
    call("config", "core.repositoryFormatVersion", "1")
    call("config", "protocol.ext.allow", "always")
    digest = subprocess.run(["git", "rev-parse", "HEAD:model.py"], check=True, capture_output=True, text=True).stdout
    (folder / ".git" / "objects" / digest[:2] / digest[2:].strip()).unlink()


HOSTILE = (
    filter_clean, filter_process, hook, fsmonitor, external_diff, driver, textconv, pager, submodule, missing_objects
)  # fmt: skip


@pytest.mark.parametrize("attack", HOSTILE)
def test_nothing_that_a_checkout_names_is_run(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, attack: Callable[[Path, str], None]
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    program, marker = elsewhere / "program", elsewhere / "it_ran"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    attack(checkout, str(program))
    marker.unlink(missing_ok=True)  # of the preparation
    git.commit()
    git.uncommitted_changes()
    assert not marker.exists()
    subprocess.run(["git", "status"], capture_output=True, check=False, timeout=20)
    subprocess.run(["git", "diff", "HEAD"], capture_output=True, check=False, timeout=20)
    if attack is not pager:  # needs a terminal
        assert marker.exists(), "the attack has to work on plain git for this test to mean anything"
