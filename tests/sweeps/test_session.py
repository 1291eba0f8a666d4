"""A sweep as a whole, and the other processes that work on it. (test_driver.py has the sweeps of `ptrun train -m`.)"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT, Ended

Call = Callable[..., Ended]
WORDS = ("train", "-m", "model=simplenet", "train.max_steps=2", "sweep.dir=sw", "sweep.jobs=1")


@pytest.mark.slow
def test_a_worker_does_what_is_left_as_the_plan_says(folder: Path, process: Call):
    (folder / "conf" / "experiment").mkdir(parents=True)
    recipe = folder / "conf" / "experiment" / "mine.yaml"
    recipe.write_text("# @package _global_\ntrain:\n  batch_size: 8\n")
    assert process(*WORDS, "experiment=mine", "seed=0,1,2").code == 0
    for job in "12":
        (folder / "sw" / job / "status.json").unlink()
    (folder / "sw" / "1" / "summary.json").unlink()
    recipe.write_text("# @package _global_\ntrain:\n  batch_size: 16\n")  # a later edit does not matter
    ended = process("sweep", "work", "sw", "sweep.jobs=2")
    assert ended.code == 0, ended.err
    assert "ptrun sweep work" in ended.out
    assert "jobs     3, 1 of them done" in ended.out
    assert "at once  2" in ended.out
    assert (folder / "sw" / "1" / "summary.json").is_file()
    assert "batch_size: 8" in (folder / "sw" / "1" / "resolved.yaml").read_text()
    assert not (folder / "sw" / "3").exists()


@pytest.mark.slow
def test_a_worker_goes_on_with_a_search(folder: Path, process: Call):
    search = ("sweep=random", "optimizer.lr=tag(log,interval(1e-3,1e-1))", "sweep.trials=2")
    assert process(*WORDS, *search).code == 0
    ended = process("sweep", "work", "sw", "sweep.trials=3", "-q")
    assert ended.code == 0, ended.err
    assert [json.loads((folder / "sw" / job / "job.json").read_text())["trial"] for job in "012"] == [0, 1, 2]


PLUGIN = """
from pathlib import Path
from torch import nn
from ptrun.registry import models
import helpers

@models.register
def own(spec, *, hidden: int = 8):
    assert Path(__file__).with_name("beside.txt").is_file()
    assert helpers.VALUE == 1
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.Linear(hidden, 10))
"""


@pytest.mark.slow
def test_edits_of_yaml_files_and_plugins_do_not_reach_the_workers_of_a_search(folder: Path, process: Call):
    (folder / "conf" / "experiment").mkdir(parents=True)
    recipe, plugin = folder / "conf" / "experiment" / "mine.yaml", folder / "own.py"
    recipe.write_text("# @package _global_\ntrain:\n  batch_size: 8\n")
    plugin.write_text(PLUGIN)
    (folder / "helpers.py").write_text("VALUE = 1\n")
    (folder / "beside.txt").touch()
    words = ("train", "-m", "plugins=[own.py]", "experiment=mine", "sweep=random", "train.max_steps=2", "sweep.dir=sw")
    words = (*words, "model=own", "model.hidden=range(4,6)", "optimizer.lr=interval(0.1,0.2)", "sweep.jobs=1")
    ended = process(*words, "sweep.trials=1")
    assert ended.code == 0, ended.err
    recipe.write_text("# @package _global_\ntrain:\n  batch_size: 16\n")
    plugin.write_text("raise ValueError('edited')")
    (folder / "helpers.py").write_text("raise ValueError('edited')")
    ended = process("sweep", "work", "sw", "sweep.trials=2", "-q")
    assert ended.code == 0, ended.err
    assert "batch_size: 8" in (folder / "sw" / "1" / "resolved.yaml").read_text()

    plugin.write_text(PLUGIN + "# edited")
    (folder / "helpers.py").write_text("VALUE = 1  # edited\n")
    ended = process(*words, "sweep.trials=3")
    assert ended.code == 0, ended.err
    said = [line for line in ended.out.splitlines() if line.startswith("note: ")]
    assert [re.search(r"(\S+) was edited since this sweep was started", line)[1] for line in said] == [  # type: ignore[index]
        str(plugin), str(folder / "helpers.py"), str(recipe)
    ]  # fmt: skip
    resolved = [(folder / "sw" / job / "resolved.yaml").read_text() for job in "012"]
    assert ["batch_size: 8" in text for text in resolved] == [True, True, False]


LATE = """
from pathlib import Path
from torch import nn
from ptrun.registry import models

@models.register
def own(spec, *, hidden: int = 8):
    import late
    Path(__file__).with_name("late.py").write_text("raise ValueError('edited')")
    return nn.Sequential(nn.Flatten(), nn.Linear(64, late.SIZE), nn.Linear(late.SIZE, 10))
"""


@pytest.mark.slow
@pytest.mark.parametrize("forks", [True, False])
def test_an_edit_does_not_reach_jobs_that_import_the_module_in_a_function(folder: Path, process: Call, forks: bool):
    """Each job edits it after its own import."""
    thread = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    (folder / "own.py").write_text(LATE + ("" if forks else thread))
    (folder / "late.py").write_text("SIZE = 5\n")
    ended = process(*WORDS[:2], *WORDS[3:], "plugins=[own.py]", "model=own", "seed=0,1")
    assert ended.code == 0, ended.err
    assert ("a Python process of its own" in ended.out) is not forks


def test_what_a_worker_can_be_told(ptrun: Call, folder: Path):
    assert "there is no sweep in this folder" in ptrun("sweep", "work").err
    (folder / "sw").mkdir()
    (folder / "sw" / "sweep.json").write_text("{}")
    assert "does not say how the sweep was started" in ptrun("sweep", "work", "sw").err
    ended = ptrun("sweep", "work", "sw", "--cores", "0")
    assert ended.code == 2
    assert "--cores 0: expected a number of cores, as --cores 2." in ended.err
    ended = ptrun("sweep", "work", "sw", "optimizer.lr=0.1")
    assert (ended.code, "optimizer.lr=0.1: expected one folder of a sweep" in ended.err) == (2, True)


def test_a_search_needs_its_packages_before_anything_starts(folder: Path, process: Call):
    (folder / "site").mkdir()
    (folder / "site" / "optuna.py").write_text("raise ImportError('not here')\n")
    words = (*WORDS, "sweep=tpe", "seed=1,2", "optimizer.lr=interval(0.1,0.2)")
    ended = process(*words, PYTHONPATH=f"{folder / 'site'}{os.pathsep}{ROOT}")
    assert ended.code == 2
    assert 'pip install "ptrun[search]"' in ended.err
    assert not (folder / "sw").exists()


@pytest.mark.slow
def test_a_worker_uses_few_cores_and_stops_when_its_input_ends(folder: Path, process: Call):
    words = ("train", "-m", "model=simplenet", "seed=0,1,2", "train.max_steps=3", "sweep.dir=sw")
    assert process(*words, "sweep.launch=command", "sweep.launch_command=true %work").code == 1  # the plan alone
    ended = process("sweep", "work", "sw", "--cores", "1", "--until-eof")  # of an input that has ended
    assert ended.code == 75
    assert "at once  1, each with 1 of the cores" in ended.out
    assert "Stopped by the end of its input: 0 of 3 jobs are done." in ended.err
