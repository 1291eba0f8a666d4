"""Asks git which code the working folder holds, without running anything that the checkout names.

The checkout may be a stranger's, and git runs programs that a repository's configuration names: hooks, a file system
monitor, filters, external diffs, text conversions, transports that fetch missing objects, and all of these in
submodules. Each is turned off here.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TIMEOUT_SECONDS = 5.0
_MOST_BYTES = 16 * 2**20  # of a diff: a larger one holds data rather than code
_CUT = b"\n[The uncommitted changes are cut off here.]\n"
_FROM_USER = ("PATH", "HOME", "USERPROFILE", "XDG_CONFIG_HOME", "SYSTEMROOT")  # where git and the user's settings are
_FIXED = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",  # a partial clone fetches missing objects, by a program that its settings name
    "GIT_NO_LAZY_FETCH": "1",
}
_SETTINGS = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "core.pager=cat", "diff.external=")
# Of a submodule only the recorded commit is compared: looking inside starts another git, with the submodule's settings.
_NO_SUBMODULES = "--ignore-submodules=dirty"
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", _NO_SUBMODULES, "HEAD")
_STATUS = ("status", "--porcelain", "--untracked-files=no", _NO_SUBMODULES)

_Answers = tuple[dict[str, Any] | None, bytes | None]  # of `commit` and `uncommitted_changes`
_answers: dict[Path, _Answers] = {}  # by working folder, while `asked_once` is in force


@contextmanager
def asked_once() -> Iterator[None]:
    """Inside, git is asked only once about the current working folder, also in forks of this process.

    The jobs of a sweep run the code that their parent has imported, so what git says at its start is true of them all.
    Each answer costs three processes, which a job that trains for 0.1 s would feel.
    """
    folder = Path.cwd()
    _answers[folder] = commit(), uncommitted_changes()
    try:
        yield
    finally:
        _answers.pop(folder, None)


def commit() -> dict[str, Any] | None:
    """The commit, the branch, and whether tracked files were changed; None outside of a checkout."""
    if Path.cwd() in _answers:
        return _answers[Path.cwd()][0]
    head = _text("rev-parse", "HEAD")
    if not head:
        return None
    return {
        "commit": head,
        "branch": _text("rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": bool(_run(*_STATUS, environment=_without_filters())),
    }


def uncommitted_changes() -> bytes | None:
    """The diff of the tracked files against the last commit; None when there is none. A very long one is cut off.

    Bytes, because a changed file need not be UTF-8.
    """
    if Path.cwd() in _answers:
        return _answers[Path.cwd()][1]
    return _run(*_DIFF, environment=_without_filters()) or None


def _without_filters() -> dict[str, str]:
    """An environment in which every filter that git's settings define does nothing.

    git runs the `clean` filter of a file to compare it. An empty command is no filter. The settings are given by
    variables, not by -c, because a filter's name may hold any character.
    """
    names = _run("config", "--null", "--name-only", "--get-regexp", r"^filter\.").split(b"\0")
    filters = sorted({os.fsdecode(name).rpartition(".")[0] for name in names if name})
    values = {
        f"{name}.{key}": value
        for name in filters
        for key, value in (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
    }
    environment = {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (key, value) in enumerate(values.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _text(*arguments: str) -> str:
    return _run(*arguments).decode("utf-8", errors="replace").strip()


def _run(*arguments: str, environment: Mapping[str, str] | None = None) -> bytes:
    """The output of a git command, cut off at a limit; empty when it fails or takes too long."""
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    command = ["git", "--no-pager", "--no-optional-locks", *settings, *arguments]
    own = {name: os.environ[name] for name in _FROM_USER if name in os.environ}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**own, **_FIXED, **(environment or {})},
        )
    except OSError:  # git is not installed
        return b""
    with process:
        return _output(process)


def _output(process: subprocess.Popen[bytes]) -> bytes:
    """Read with a limit, unlike `communicate`, which takes in any amount."""
    assert process.stdout is not None
    timer = threading.Timer(_TIMEOUT_SECONDS, process.kill)
    timer.start()
    try:
        output = process.stdout.read(_MOST_BYTES + 1)
        if len(output) > _MOST_BYTES:
            process.kill()
            return output[:_MOST_BYTES] + _CUT
        return output if process.wait() == 0 else b""
    finally:
        timer.cancel()
        timer.join()  # a process is forked only while it has no other threads
