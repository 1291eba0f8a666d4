"""A sweep finds its folder and the folders of its jobs again; sweep.json holds every job as it was composed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ptrun.config.compose import Composer
from ptrun.config.jobs import SweepConfig, load_sweep
from ptrun.errors import ConfigError
from ptrun.runs.find import read_plan
from ptrun.sweeps.plan import Command, place_jobs, sweep_folder, write_plan

COMMAND = Command(["ptrun"], [], "train", ())


def sweep(*words: str) -> SweepConfig:
    config = load_sweep(Composer(), words)
    assert config is not None
    return config


def plan(folder: Path, *words: str) -> dict[str, str]:
    """Write the plan of a command, and begin its jobs. Returns overrides → name of the folder."""
    config = sweep(*words)
    jobs = place_jobs(config.jobs, folder)
    write_plan(config, folder, jobs, COMMAND, {})
    for job in jobs:
        job.folder.mkdir(exist_ok=True)
        (job.folder / "job.json").write_text(json.dumps({"id": job.config.identity}))
    return {job.settings(config.axes): job.name for job in jobs}


def test_jobs_are_numbered_and_found_again(folder: Path):
    assert plan(folder, "seed=5,6") == {"seed=5": "0", "seed=6": "1"}
    assert plan(folder, "seed=7,6,5") == {"seed=7": "2", "seed=6": "1", "seed=5": "0"}
    assert [job["overrides"] for job in read_plan(folder)["jobs"]] == [["seed=7"], ["seed=6"], ["seed=5"]]
    assert plan(folder, "seed=8,5") == {"seed=8": "3", "seed=5": "0"}
    assert [job["job"] for job in read_plan(folder)["jobs"]] == ["2", "1", "3", "0"]  # of the earlier command first


@pytest.mark.parametrize("lost", ["sweep.json", "job.json"])
def test_either_record_is_enough(folder: Path, lost: str):
    assert plan(folder, "seed=5,6") == {"seed=5": "0", "seed=6": "1"}
    for path in folder.rglob(lost):
        path.write_text("{ damaged")
    assert plan(folder, "seed=6,5") == {"seed=6": "1", "seed=5": "0"}


def test_a_job_that_never_began_keeps_its_number(folder: Path):
    config = sweep("seed=5,6")
    write_plan(config, folder, place_jobs(config.jobs, folder), COMMAND, {})
    assert plan(folder, "seed=6,7") == {"seed=6": "1", "seed=7": "2"}


def test_folders_with_names(folder: Path):
    name = "hydra.sweep.subdir=${model.name}"
    assert plan(folder, "model=convnet,simplenet", name) == {
        "model=convnet": "convnet",
        "model=simplenet": "simplenet",
    }
    with pytest.raises(ConfigError, match="is that of another job"):
        plan(folder, "model=convnet", "seed=1,2", name)


def test_the_folder_of_the_same_command(folder: Path):
    def begin(*words: str) -> Path:
        config = sweep(*words)
        path = sweep_folder(config)
        write_plan(config, path, place_jobs(config.jobs, path), COMMAND, {})
        return path

    first = begin("seed=1,2", "train.epochs=3")
    assert begin("train.epochs=3", "seed=2,3,4", "sweep.jobs=1") == first  # other values, another order
    assert begin("seed=1,2", "train.epochs=4") != first
    assert begin("train.epochs=3", "model=convnet,simplenet") != first  # other axes
    second = begin("seed=1,2", "train.epochs=3", "sweep.dir=new")
    assert second != first
    assert begin("seed=1,2", "train.epochs=3", "sweep.dir=here") == Path("here")


def test_secrets_of_the_environment_stay_references(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PTRUN_WORD", "hidden-word")
    plan(folder, "label='${oc.env:PTRUN_WORD}'", "seed=1,2")
    text = (folder / "sweep.json").read_text()
    assert "hidden-word" not in text
    assert "${oc.env:PTRUN_WORD}" in text
