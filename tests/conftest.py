"""Shared fixtures: a folder of one's own for every test, and the command as a function."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ptrun import cli

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ended:
    """A finished command."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # tests run side by side


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ptrun(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """`ptrun ARGUMENTS` in this process and an empty folder."""

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = cli.main(arguments)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def process(folder: Path) -> Callable[..., Ended]:
    """`ptrun ARGUMENTS` as a process of its own, as a user runs it."""

    def call(*arguments: str, **environment: str) -> Ended:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
        done = subprocess.run(
            [sys.executable, "-m", "ptrun", *arguments],
            capture_output=True,
            text=True,
            env=env,
            cwd=folder,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return call


def newest_run(folder: Path) -> Path:
    """The run folder that `outputs/latest` points to."""
    return (folder / "outputs" / "latest").resolve()
