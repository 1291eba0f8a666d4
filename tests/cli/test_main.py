"""The command line as a whole: which command runs, what it costs to start, and the exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT, Ended

import ptrun.cli.commands
from ptrun.cli.main import VERBS
from ptrun.version import __version__

Call = Callable[..., Ended]
HEAVY = {"torch", "torchvision", "sklearn", "matplotlib", "numpy", "PIL", "rich"}


def test_a_verb_is_a_file():
    folder = Path(next(iter(ptrun.cli.commands.__path__)))
    assert sorted(VERBS) == sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_names_itself(ptrun: Call, verb: str):
    for flag in ("-h", "--help"):
        ended = ptrun(verb, flag)
        assert ended.code == 0
        assert ended.out.startswith(f"ptrun {verb}")
        assert max(map(len, ended.out.partition("\nSettings\n")[0].splitlines())) <= 120


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("train", "--help"),
        ("eval", "--help"),
        ("export", "--help"),
        ("verify",),
        ("reproduce", "--help"),
        ("resume", "--help"),
        ("doctor", "--help"),
        ("show", "--help"),
        ("list", "models", "convnet"),
        ("--version",),
    ],
)
def test_help_and_lists_are_light(process: Call, arguments: tuple[str, ...]):
    ended = process(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert ended.code == 0
    assert ended.out.strip()
    modules = {line.rsplit("|", 1)[-1].strip() for line in ended.err.splitlines() if line.startswith("import time:")}
    assert "ptrun.cli.main" in modules
    assert not modules & {*HEAVY, "hydra"}


def test_the_version(ptrun: Call):
    assert ptrun("--version").out == f"ptrun {__version__}\n"


def test_an_unknown_command_is_refused_with_the_nearest_one(ptrun: Call):
    ended = ptrun("trian")
    assert ended.code == 2
    assert ended.err.startswith("error: There is no command 'trian'. Did you mean 'train'? Commands: train, eval,")


def test_debug_raises_what_is_a_sentence_without_it(process: Call):
    assert "Traceback" in process("train", "model=covnet", "--debug").err
    assert "Traceback" not in process("train", "model=covnet").err


def test_the_exit_code_tells_that_the_reader_of_a_pipe_has_gone(folder: Path):
    """As in `ptrun verify RUN | head -1`: what was not printed may be bad news, so the exit code is that of SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "ptrun", "list"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, env=env, cwd=folder, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    "words", [("train",), ("train", "-m", "seed=1,2"), ("resume",), ("reproduce", "outputs/latest")]
)
def test_verbs_that_train_are_refused_under_torchrun(
    ptrun: Call, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    ended = ptrun(*words)
    assert ended.code == 2
    assert "torchrun started 2 processes" in ended.err
