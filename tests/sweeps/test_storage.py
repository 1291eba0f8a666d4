"""The finished trials of a search are copied to a storage of Optuna's, each once, and a bad storage fails nothing."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import Ended

from ptrun.config.search_space import Axis
from ptrun.config.sweep import SweepSettings, as_settings
from ptrun.errors import ConfigError
from ptrun.runs.folder import RunDir
from ptrun.sweeps.storage import Mirror, StorageError, copy_trials, open_storage

optuna: Any = pytest.importorskip("optuna")

SPACE = [Axis("optimizer.lr", low=0.001, high=1.0, log=True), Axis("model", choices=("convnet", "simplenet"))]
WORDS = ("train", "-m", "model=simplenet", "sweep=random", "optimizer.lr=tag(log,interval(1e-3,1e-1))")


def settings(**values: Any) -> SweepSettings:
    return as_settings({"name": "tpe", "trials": 9, **values})


def job(folder: Path, trial: int, state: str, value: float | None, lr: float = 0.01) -> None:
    """The files of a job, as far as they are copied."""
    path = folder / str(trial)
    path.mkdir(parents=True, exist_ok=True)
    point = {"optimizer.lr": lr, "model": "convnet"}
    (path / "job.json").write_text(json.dumps({"id": str(trial), "trial": trial, "point": point}))
    RunDir(path).write_status(state, exit_code=5 if state == "failed" else 0)
    if value is not None:
        summary = {"monitor": "val/accuracy", "best_value": value, "higher_is_better": True, "epochs": 2}
        (path / "summary.json").write_text(json.dumps(summary))
        records = [{"epoch": epoch, "step": epoch, "val/accuracy": value / (3 - epoch)} for epoch in (1, 2)]
        (path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def study(where: str, name: str = "sw") -> Any:
    with warnings.catch_warnings(action="ignore"):
        return optuna.load_study(study_name=name, storage=open_storage(optuna, where))


def test_trials_arrive_once_with_values_curves_and_folders(tmp_path: Path):
    folder, where = tmp_path / "sw", str(tmp_path / "trials.log")
    job(folder, 0, "done", 0.8)
    job(folder, 1, "pruned", 0.5, lr=0.1)
    job(folder, 2, "running", 0.4)
    job(folder, 3, "done", 0.9, lr=5.0)  # of an earlier command with other values
    assert copy_trials(folder, settings(storage=where), SPACE) == 2
    assert copy_trials(folder, settings(storage=where), SPACE) == 0
    job(folder, 1, "done", 0.85, lr=0.1)  # went on after all
    job(folder, 2, "failed", None)
    assert copy_trials(folder, settings(storage=where), SPACE) == 2
    copied = study(where)
    assert [trial.state.name for trial in copied.trials] == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED"]
    assert [trial.user_attrs["ptrun:trial"] for trial in copied.trials] == [0, 1, 1, 2]
    first = copied.trials[0]
    assert first.params == {"optimizer.lr": 0.01, "model": "convnet"}
    assert first.distributions["optimizer.lr"] == optuna.distributions.FloatDistribution(0.001, 1.0, log=True)
    assert first.distributions["model"] == optuna.distributions.CategoricalDistribution(("convnet", "simplenet"))
    assert first.value == 0.8
    assert first.intermediate_values == {1: 0.4, 2: 0.8}
    assert first.user_attrs["ptrun:jobs"] == [str(folder / "0")]
    assert copied.direction.name == "MAXIMIZE"
    assert copied.best_value == 0.85
    assert copied.metric_names == ["val/accuracy"]


def test_nothing_is_copied_before_it_is_known_which_values_are_better(tmp_path: Path):
    job(tmp_path / "sw", 0, "failed", None)
    assert copy_trials(tmp_path / "sw", settings(storage=str(tmp_path / "trials.log")), SPACE) == 0
    assert not (tmp_path / "trials.log").exists()


def test_the_study_of_another_sweep_is_left_alone(tmp_path: Path):
    where = str(tmp_path / "trials.log")
    for parent in "ab":
        job(tmp_path / parent / "sw", 0, "done", 0.5)
    assert copy_trials(tmp_path / "a" / "sw", settings(storage=where), SPACE) == 1
    with pytest.raises(StorageError, match=r"has a study 'sw' of another sweep, .*/a/sw\. Name another storage"):
        copy_trials(tmp_path / "b" / "sw", settings(storage=where), SPACE)
    assert len(study(where).trials) == 1


def test_a_storage_that_fails_is_one_sentence(tmp_path: Path):
    job(tmp_path / "sw", 0, "done", 0.5)
    mirror = Mirror(tmp_path / "sw", settings(storage=f"sqlite:///{tmp_path}/none/t.db"), SPACE, forks=False)
    mirror.begin()  # nothing, where forks are unsafe
    assert mirror.child is None
    assert "the trials could not be copied there" in mirror.finish()
    assert "unable to open database file" in mirror.finish()


def test_a_grid_has_no_trials():
    with pytest.raises(ConfigError, match=r"sweep\.storage: only the trials of a search"):
        as_settings({"storage": "sqlite:///t.db"})


@pytest.mark.slow
def test_a_search_fills_a_database_and_outlives_one_that_fails(folder: Path, process: Callable[..., Ended]):
    common = (*WORDS, "train.max_steps=20", "sweep.dir=sw", "device.threads=1")
    ended = process(*common, "sweep.trials=3", "sweep.storage=sqlite:///t.db")
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert process(*common, "sweep.trials=4", "sweep.storage=sqlite:///t.db").code == 0
    with warnings.catch_warnings(action="ignore"):
        copied = optuna.load_study(study_name="sw", storage="sqlite:///t.db")
    assert [trial.state.name for trial in copied.trials] == ["COMPLETE"] * 4
    values = {json.loads((folder / "sw" / job / "summary.json").read_text())["best_value"] for job in "0123"}
    assert {trial.value for trial in copied.trials} == values
    ended = process(*common, "sweep.trials=5", "sweep.storage=sqlite:////none/t.db")
    assert ended.code == 0
    assert "warning: sweep.storage: the trials could not be copied there" in ended.out + ended.err
    assert (folder / "sw" / "4" / "summary.json").is_file()
