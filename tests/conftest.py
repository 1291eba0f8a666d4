"""Shared fixtures: an empty folder for each test, and the command as a function."""

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
from support import ROOT, Ended, without_plots

from ptrun import plugins
from ptrun.cli import main


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # tests run side by side


@pytest.fixture(scope="session", autouse=True)
def _heeded_signals() -> Iterator[None]:
    """Restore signals that nohup or a shell's background made pytest ignore, because child processes inherit that."""
    names = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP")
    signals = map(signal.Signals.__getitem__, names)
    ignored = [number for number in signals if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def _plugins_of_one_test() -> Iterator[None]:
    """Forget the plugins that a test loaded: processes that a later test starts would import their files again."""
    earlier = set(sys.modules)
    yield
    for name in [name for name in sys.modules if name.startswith("ptrun_plugin_") and name not in earlier]:
        plugins.unload(name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ptrun(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """`ptrun ARGUMENTS` in this process and an empty folder, by default without plots."""

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main.main(without_plots(arguments))
        captured = capsys.readouterr()
        logging.getLogger().handlers.clear()  # Hydra's --info leaves one that writes to this test's output
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def process(folder: Path) -> Callable[..., Ended]:
    """`ptrun ARGUMENTS` as a separate process, as a user runs it, by default without plots."""

    def call(*arguments: str, **environment: str) -> Ended:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
        done = subprocess.run(
            [sys.executable, "-m", "ptrun", *without_plots(arguments)],
            capture_output=True,
            text=True,
            env=env,
            cwd=folder,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return call
