"""A sweep checks all jobs first, runs each like a run of its own, and survives those that fail."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import Ended, newest_run

from ptrun.checkpoint import store
from ptrun.config.compose import Composer
from ptrun.errors import ConfigError
from ptrun.sweeps.grid import check_jobs

Call = Callable[..., Ended]


def test_every_combination_is_a_job():
    jobs, first = check_jobs(Composer(), ["model=convnet,simplenet", "seed=1,2"])
    assert [" ".join(job) for job in jobs] == [
        "model=convnet seed=1", "model=convnet seed=2", "model=simplenet seed=1", "model=simplenet seed=2",
    ]  # fmt: skip
    assert (first.model.name, first.seed) == ("convnet", 1)


def test_all_problems_of_all_jobs_are_found_before_any_runs():
    with pytest.raises(ConfigError) as raised:
        check_jobs(Composer(), ["train.epochs=1,-1", "optimizer.lr=x", "seed=1"])
    of_one_job, of_all = sorted(raised.value.problems, reverse=True)
    assert of_one_job.startswith("train.epochs: ")
    assert of_one_job.endswith("(job: train.epochs=-1 optimizer.lr=x seed=1)")
    assert "(job:" not in of_all


def test_a_sweep_runs_every_job_and_ends_with_a_table(folder: Path, ptrun: Call):
    ended = ptrun("train", "-m", "model=convnet,simplenet", "optimizer.lr=0.01,0.001", "train.epochs=1")
    assert ended.code == 0, ended.err
    sweep = (folder / "outputs" / "latest").resolve()
    assert "sweep" in sweep.name
    jobs = [sweep / str(number) for number in range(4)]
    summaries = [json.loads((job / "summary.json").read_text()) for job in jobs]
    assert [summary["model"] for summary in summaries] == ["convnet", "convnet", "simplenet", "simplenet"]
    with (sweep / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = [float(row["val/accuracy"]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert len(values) == 4
    best = rows[0]
    table = ended.out.split("settings")[1]
    assert f"model={best['model']} optimizer.lr={best['optimizer.lr']}" in table.splitlines()[1]


def test_a_job_of_a_sweep_equals_the_same_run_alone(folder: Path, ptrun: Call):
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


def test_a_plugins_component_is_chosen_once_for_all_jobs(folder: Path):
    (folder / "own.py").write_text(
        "from ptrun.registry import losses\n"
        "@losses.register\n"
        "def sweep_loss(outputs, targets, *, scale: float = 1.0):\n"
        "    return scale * (outputs - targets).pow(4).mean()\n"
    )
    words = ["plugins=[own.py]", "loss=sweep_loss", "dataset=diabetes"]
    jobs, first = check_jobs(Composer(), [*words, "loss.scale=1.0,2.0"])
    assert len(jobs) == 2
    assert (first.loss.name, first.loss.settings) == ("sweep_loss", {"scale": 1.0})
    assert Composer().sweep_dir([*words, "seed=1,2"]) == ""


def test_the_exit_code_counts_the_jobs_that_were_asked_for(folder: Path, ptrun: Call):
    words = ("model=simplenet", "train.max_steps=1", "hydra.sweep.dir=sw", "-q")
    ended = ptrun("train", "-m", "seed=8,9", "hydra.sweep.subdir=same", *words)
    assert ended.code == 1
    assert "1 of 2 jobs of this sweep made no run in sw" in ended.err
    ended = ptrun("train", "-m", "seed=10", "hydra.sweep.subdir=same", *words)  # the run there is not this job's
    assert ended.code == 1
    assert ptrun("train", "-m", "seed=10", "hydra.sweep.subdir=other", *words).code == 0


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
