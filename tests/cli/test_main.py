"""The commands as typed: help, lists, Hydra's own flags, completion in real shells, sweeps, and what they cost at the start."""

from __future__ import annotations

import csv
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


def test_a_sweep_runs_every_job_and_ends_with_a_table(folder: Path, ptrun: Call):
    ended = ptrun("train", "-m", "model=convnet,simplenet", "optimizer.lr=0.01,0.001", "train.epochs=2", "-q")
    assert ended.code == 0, ended.err
    ended = ptrun("train", "-m", "model=convnet,simplenet", "optimizer.lr=0.01,0.001", "train.epochs=2")
    sweep = (folder / "outputs" / "latest").resolve()
    assert "sweep" in sweep.name
    jobs = [sweep / str(number) for number in range(4)]
    summaries = [json.loads((job / "summary.json").read_text()) for job in jobs]
    assert [s["model"] for s in summaries] == ["convnet", "convnet", "simplenet", "simplenet"]
    with (sweep / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = [float(row["val/accuracy"]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert len(values) == 4
    best = rows[0]
    table = ended.out.split("settings")[1]
    assert f"model={best['model']} optimizer.lr={best['optimizer.lr']}" in table.splitlines()[1]


def test_a_job_of_a_sweep_equals_the_same_run_alone(folder: Path, ptrun: Call):
    import torch

    from ptrun.checkpoint import store

    ptrun("train", "-m", "seed=0,1", "train.epochs=1", "-q")
    sweep = (folder / "outputs" / "latest").resolve()
    ptrun("train", "seed=1", "train.epochs=1", "-q")
    alone = (folder / "outputs" / "latest").resolve()
    states = [store.load(path / "checkpoints" / "last.pt")["model"] for path in (sweep / "1", alone)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_failing_job_does_not_stop_the_others(folder: Path, ptrun: Call):
    ended = ptrun("train", "-m", "optimizer=sgd", "optimizer.lr=1e30,0.1", "train.epochs=1")
    assert ended.code == 1
    assert "The training loss became" in ended.err
    sweep = (folder / "outputs" / "latest").resolve()
    states = [json.loads((sweep / job / "status.json").read_text())["state"] for job in ("0", "1")]
    assert states == ["failed", "done"]
    assert "failed" in ended.out


def test_latest_after_a_sweep_stands_for_its_runs(folder: Path, ptrun: Call):
    assert ptrun("train", "-m", "optimizer=sgd", "optimizer.lr=1e30,1e-6,0.1", "train.epochs=1", "-q").code == 1
    sweep = newest_run(folder)
    assert (sweep / "multirun.yaml").is_file()
    ended = ptrun("eval", "checkpoint=outputs/latest")
    assert ended.code == 0, ended.err
    assert "latest/2/checkpoints/best.pt" in ended.out
    assert "The best of the 3 runs of this sweep." in ended.out
    best_first = ", ".join(str(sweep / job) for job in "210")
    for verb in ("resume", "reproduce"):
        ended = ptrun(verb, "outputs/latest")
        assert ended.code == 4
        assert f"this is a sweep of 3 runs. Name one of them, best first: {best_first}." in ended.err
    ended = ptrun("verify", "outputs/latest")
    assert ended.code == 0
    assert "1/checkpoints/last.pt" in ended.out
    whole = (sweep / "1" / "checkpoints" / "last.pt").read_bytes()
    (sweep / "1" / "checkpoints" / "last.pt").unlink()
    (sweep / "1" / "checkpoints" / "last.pt").write_bytes(whole[:-100])
    ended = ptrun("verify", "outputs/latest")
    assert ended.code == 4
    assert "DAMAGED  1/checkpoints/last.pt" in ended.out


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
