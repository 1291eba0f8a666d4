"""The commands as typed: help, lists, Hydra's own flags, completion in real shells, sweeps, and what they cost at the start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT, Ended, newest_run

from ptrun.cli.commands.list import KINDS
from ptrun.config import schema

Call = Callable[..., Ended]
HEAVY = {"torch", "torchvision", "sklearn", "matplotlib", "numpy", "PIL", "rich"}


@pytest.mark.parametrize("arguments", [(), ("--help",), ("train", "--help"), ("eval", "--help"), ("eval",), ("verify",), ("reproduce", "--help"), ("list",), ("list", "models"), ("list", "models", "convnet"), ("list", "metric", "top_k"), ("--version",)])  # fmt: skip
def test_help_and_lists_are_light(process: Call, arguments: tuple[str, ...]):
    ended = process(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert ended.code == 0
    assert ended.out.strip()
    modules = {line.rsplit("|", 1)[-1].strip() for line in ended.err.splitlines() if line.startswith("import time:")}
    assert "ptrun.cli.main" in modules
    assert not modules & {*HEAVY, "hydra"}


def test_a_reader_that_left_is_no_success(folder: Path):
    """As in `ptrun verify RUN | head -1`, which may leave before the bad news: the exit code is that of SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "ptrun", "list"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, env=env, cwd=folder, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_first_screen_fits_and_runs(ptrun: Call):
    lines = ptrun().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 120
    examples = [line.split("   ")[0].split() for line in lines if line.startswith("  ptrun ")]
    assert len(examples) >= 10
    known = {"train", "eval", "resume", "verify", "reproduce", "list", "show", "doctor"}
    assert {words[1] for words in examples} <= known


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_lists_every_name(ptrun: Call, kind: str):
    out = ptrun("list", kind).out
    for name in schema.names(KINDS[kind]):
        assert f"\n{name} " in out
        one = ptrun("list", kind, name).out
        assert one.startswith(f"{name}: ")


def test_one_component_shows_every_keyword(ptrun: Call):
    out = ptrun("list", "models", "transformer").out
    for key in schema.require("model", "transformer").keys.values():
        assert key.name in out
        assert key.type.text in out


def test_show_prints_what_train_would_use(ptrun: Call):
    import yaml

    shown = yaml.safe_load(ptrun("show", "model=convnet", "train.epochs=3").out)
    assert shown["model"]["name"] == "convnet"
    assert shown["train"]["epochs"] == 3
    assert not Path("outputs").exists()


def test_hydra_flags(ptrun: Call):
    assert "name: convnet" in ptrun("train", "model=convnet", "--cfg", "job").out
    assert ptrun("train", "--cfg", "job", "--package", "optimizer").out.startswith("# @package optimizer")
    assert "model: convnet" in ptrun("train", "--info", "defaults-tree", "model=convnet").out
    assert "searchpath" in ptrun("train", "--cfg", "hydra").out


@pytest.fixture
def shim(folder: Path) -> dict[str, str]:
    """An environment in which `ptrun` is a command, as after an installation."""
    code = "import sys; from ptrun.cli.main import main; sys.exit(main())"
    (folder / "ptrun").write_text(f"#!{sys.executable}\n{code}\n")
    (folder / "ptrun").chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


BASH = r"""
eval "$({ptrun} -sc install=bash)"
COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
hydra_bash_completion
printf '%s\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(("line", "expected"), [("ptrun tr", "train"), ("ptrun train model=c", "model=convnet"), ("ptrun train optimizer.l", "optimizer.lr="), ("ptrun show datas", "dataset="), ("ptrun eval spl", "split=")])  # fmt: skip
def test_completion_in_bash(shim: dict[str, str], line: str, expected: str):
    script = BASH.format(ptrun="ptrun", line=line)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=shim, check=False)
    assert expected in done.stdout.split(), done


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts_of_other_shells(shim: dict[str, str], shell: str):
    done = subprocess.run(["ptrun", "-sc", f"install={shell}"], capture_output=True, text=True, env=shim, check=True)
    assert "ptrun" in done.stdout
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=done.stdout, text=True, check=False).returncode == 0


def test_completion_in_fish_asks_with_the_words_so_far(shim: dict[str, str]):
    query = {**shim, "COMP_LINE": "ptrun train model=c"}
    done = subprocess.run(["ptrun", "-sc", "query=fish"], capture_output=True, text=True, env=query, check=True)
    assert "model=convnet" in done.stdout.split()


def test_a_run_that_never_trained_leaves_latest_where_it_was(folder: Path, ptrun: Call):
    refused = ("train", "dataset=table", "dataset.path=nowhere.csv", "dataset.target=x", "-q")
    assert ptrun(*refused).code == 3
    assert json.loads((newest_run(folder) / "status.json").read_text())["state"] == "failed"
    ended = ptrun("eval", "checkpoint=outputs/latest")
    assert ended.code == 4
    assert "holds no checkpoint" in ended.err
    assert "That run ended with: dataset.path: there is no file" in ended.err
    assert ptrun("train", "model=simplenet", "train.epochs=1", "-q").code == 0
    trained = newest_run(folder)
    assert (trained / "summary.json").is_file()
    assert ptrun(*refused).code == 3
    assert ptrun(*refused, "-m").code == 1
    assert newest_run(folder) == trained
    assert ptrun("train", "model=simplenet", "train.epochs=1", "-q").code == 0
    assert newest_run(folder) != trained
    assert ptrun("resume", str(trained), "train.epochs=2", "-q").code == 0
    assert newest_run(folder) == trained


def test_every_job_is_checked_before_the_first_one_runs(folder: Path, ptrun: Call):
    ended = ptrun("train", "-m", "model=simplenet,lstm,covnet", "train.epochs=1,0")
    assert ended.code == 2
    assert "there is no model 'covnet'" in ended.err
    ended = ptrun("train", "-m", "model=simplenet,lstm", "train.epochs=1,0")
    assert ended.code == 2
    assert "model: 'lstm' reads sequences" in ended.err
    assert "train.epochs: expected int >= 1, got 0" in ended.err
    assert "(job: model=" in ended.err
    assert not (folder / "outputs").exists()
