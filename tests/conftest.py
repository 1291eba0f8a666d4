"""Shared fixtures: a folder of one's own for every test, and the command as a function."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from support import ROOT, Ended, without_pictures

from ptrun.cli import main


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # tests run side by side


@pytest.fixture(scope="session", autouse=True)
def _heeded_signals() -> Iterator[None]:
    """A process that nohup or the background of a shell started ignores signals, and so would those that it starts."""
    names = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP")
    ignored = [each for each in map(signal.Signals.__getitem__, names) if signal.getsignal(each) == signal.SIG_IGN]
    for each in ignored:
        signal.signal(each, signal.SIG_DFL)
    yield
    for each in ignored:
        signal.signal(each, signal.SIG_IGN)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ptrun(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """`ptrun ARGUMENTS` in this process and an empty folder; a run draws no pictures unless told to."""

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main.main(without_pictures(arguments))
        captured = capsys.readouterr()
        logging.getLogger().handlers.clear()  # Hydra's --info leaves one that writes to this test's output
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def process(folder: Path) -> Callable[..., Ended]:
    """`ptrun ARGUMENTS` as a process of its own, as a user runs it; a run draws no pictures unless told to."""

    def call(*arguments: str, **environment: str) -> Ended:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
        done = subprocess.run(
            [sys.executable, "-m", "ptrun", *without_pictures(arguments)],
            capture_output=True,
            text=True,
            env=env,
            cwd=folder,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return call
