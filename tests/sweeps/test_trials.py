"""The jobs of a search: one trial after the other, those of other processes and of earlier commands too."""

from __future__ import annotations

import json
from pathlib import Path

from ptrun.config.compose import Composer
from ptrun.config.jobs import load_sweep
from ptrun.sweeps.history import read_trials
from ptrun.sweeps.trials import Trials


def trials(folder: Path, *words: str) -> Trials:
    config = load_sweep(Composer(), ["sweep=random", "model=simplenet", *words])
    assert config is not None
    assert config.search is not None
    return Trials(folder, config.settings, config.search)


LR = "optimizer.lr=tag(log,interval(1e-4,1e-1))"


def test_trials_are_added_until_there_are_enough(folder: Path):
    source = trials(folder, LR, "sweep.trials=2")
    first, second = source.more(), source.more()
    assert [job.name for job in (*first, *second)] == ["0", "1"]
    assert source.more() == []
    job = json.loads((folder / "1" / "job.json").read_text())
    assert (job["trial"], job["config"]["model"]["name"]) == (1, "simplenet")
    assert job["overrides"][1] == f"optimizer.lr={job['point']['optimizer.lr']}"


def test_another_process_sees_them_and_goes_on(folder: Path):
    source, other = trials(folder, LR, "sweep.trials=3"), trials(folder, LR, "sweep.trials=3")
    [job] = source.more()
    assert [one.name for one in other.more()] == ["0"]
    assert other.more()[0].name == "1"
    assert [one.name for one in source.more()] == ["1"]
    assert source.more()[0].config.identity != job.config.identity


def test_more_seeds_are_added_to_earlier_trials(folder: Path):
    assert len(trials(folder, LR, "sweep.trials=1").more()) == 1
    jobs = trials(folder, LR, "sweep.trials=1", "sweep.seeds=3").more()
    assert [job.name for job in jobs] == ["0", "1", "2"]
    assert len(read_trials(folder)) == 1


def test_a_small_space_is_exhausted(folder: Path):
    source = trials(folder, "optimizer.lr=0.1,0.01", "sweep.trials=5")
    assert {job.config.overrides[1] for _ in range(2) for job in source.more()} == {
        "optimizer.lr=0.1",
        "optimizer.lr=0.01",
    }
    assert source.more() == []


def test_trials_of_other_values_are_passed_over(folder: Path):
    trials(folder, "optimizer.lr=interval(0.5,0.6)", "sweep.trials=1").more()
    source = trials(folder, LR, "sweep.trials=2")
    [job] = source.more()
    assert job.name == "1"


def test_trials_of_edited_files_are_passed_over(folder: Path):
    [job] = trials(folder, LR, "sweep.trials=1").more()
    assert trials(folder, LR, "sweep.trials=1", "train.epochs=3").more() == []
    [new] = trials(folder, LR, "sweep.trials=2", "train.epochs=3").more()
    assert new.name == "1"
    assert job.name == "0"
