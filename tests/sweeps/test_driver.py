"""A sweep checks all jobs first, runs each like a run of its own, and survives those that fail."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import ROOT, Ended, newest_run, train

from ptrun.checkpoint import store

Call = Callable[..., Ended]


def test_a_sweep_runs_every_job_and_ends_with_a_table(folder: Path, process: Call):
    ended = process("train", "-m", "model=convnet,simplenet", "optimizer.lr=0.01,0.001", "train.epochs=1")
    assert ended.code == 0, ended.err
    sweep = (folder / "outputs" / "latest").resolve()
    assert "sweep" in sweep.name
    jobs = [sweep / str(number) for number in range(4)]
    summaries = [json.loads((job / "summary.json").read_text()) for job in jobs]
    assert [summary["model"] for summary in summaries] == ["convnet", "convnet", "simplenet", "simplenet"]
    with (sweep / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = [float(row["val/loss"]) for row in rows]
    assert values == sorted(values)
    assert len(values) == 4
    best = rows[0]
    table = ended.out.split("settings")[1]
    assert f"model={best['model']} optimizer.lr={best['optimizer.lr']}" in table.splitlines()[1]


@pytest.mark.slow
def test_a_job_of_a_sweep_equals_the_same_run_alone(folder: Path, ptrun: Call, process: Call):
    process("train", "-m", "seed=0,1", "train.epochs=1", "-q")
    sweep = (folder / "outputs" / "latest").resolve()
    ptrun("train", "seed=1", "train.epochs=1", "-q")
    alone = (folder / "outputs" / "latest").resolve()
    states = [store.load(path / "checkpoints" / "last.pt")["model"] for path in (sweep / "1", alone)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.slow
def test_a_grid_on_two_slots_has_the_bits_of_each_job_run_alone(folder: Path, process: Call):
    common = ("model=simplenet", "train.epochs=2", "device.threads=1")
    axes = ("optimizer.lr=0.1,0.03,0.01,0.003,0.001,0.0003", "seed=0,1,2,3")
    ended = process("train", "-m", *common, *axes, "sweep.jobs=2", "sweep.dir=sw", "-q")
    assert ended.code == 0, ended.err
    receipts = [json.loads((folder / "sw" / str(job) / "receipt.json").read_text()) for job in range(24)]
    assert len({tuple(receipt["overrides"]) for receipt in receipts}) == 24
    for job, receipt in enumerate(receipts):
        alone = train(*receipt["overrides"], quiet=True).run_dir
        saved = [store.load(path / "checkpoints" / "last.pt") for path in (folder / "sw" / str(job), alone)]
        expected, found = (states["model"] for states in saved)
        assert all(torch.equal(expected[name], found[name]) for name in expected), receipt["overrides"]
        records = [(path / "metrics.csv").read_text().splitlines() for path in (folder / "sw" / str(job), alone)]
        assert len(records[0]) == 3
        header = records[0][0].split(",")
        measured = [index for index, name in enumerate(header) if name.startswith(("train/loss", "val/"))]
        rows = [[[line.split(",")[index] for index in measured] for line in lines] for lines in records]
        assert rows[0] == rows[1]


@pytest.mark.slow
def test_a_failing_job_does_not_stop_the_others(folder: Path, process: Call):
    ended = process("train", "-m", "optimizer=sgd", "optimizer.lr=1e30,0.1", "train.epochs=1")
    assert ended.code == 1
    assert "The training loss became" in ended.err
    sweep = (folder / "outputs" / "latest").resolve()
    states = [json.loads((sweep / job / "status.json").read_text())["state"] for job in ("0", "1")]
    assert states == ["failed", "done"]
    assert "failed" in ended.out


def states(sweep: Path) -> dict[str, str]:
    """Job → state, from the run folders."""
    return {path.parent.name: json.loads(path.read_text())["state"] for path in sorted(sweep.glob("*/status.json"))}


LIMITS = ("sweep.timeout_minutes=0.2", *(("sweep.memory_gib=1",) if sys.platform == "linux" else ()))


@pytest.mark.slow
def test_jobs_that_end_in_all_bad_ways_are_named_and_the_others_finish(
    folder: Path, process: Call, ends: tuple[str, ...]
):
    reasons = {
        "0": "ValueError: a mistake in the loss", "1": "sys.exit(3)", "2": "ended with exit code 0",
        "3": "was killed by SIGKILL", "4": "Out of memory",
        "5": "The job took longer than sweep.timeout_minutes allows (0.2 minutes).",
        "6": "more than sweep.memory_gib allows (1)." if len(LIMITS) == 2 else "sweep.timeout_minutes",
    }  # fmt: skip
    words = (
        "train",
        "-m",
        *ends,
        "loss.how=raises,exits,leaves,killed,memory,hangs,eats,well",
        "sweep.dir=sw",
        *LIMITS,
    )
    ended = process(*words)
    assert ended.code == 1
    assert states(folder / "sw") == {**dict.fromkeys(reasons, "failed"), "7": "done"}
    for job, reason in reasons.items():
        assert re.search(f"job {job} failed: .*{re.escape(reason)}", ended.out), job
        assert re.search(f"error: job {job} failed: .*{re.escape(reason)}", ended.err), job
        assert f"folder {Path('sw') / job}" in ended.out
    assert "in ends" in (folder / "sw" / "1" / "job.log").read_text()  # the traceback of sys.exit

    untouched = (folder / "sw" / "7" / "status.json").read_bytes()
    (folder / "fixed").touch()
    ended = process(*words)
    assert ended.code == 0, ended.err
    assert "8, 1 of them done" in ended.out
    assert set(states(folder / "sw").values()) == {"done"}
    assert (folder / "sw" / "7" / "status.json").read_bytes() == untouched


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of a process")
def test_a_fresh_process_is_held_to_its_memory_too(folder: Path, process: Call, ends: tuple[str, ...]):
    with (folder / "own.py").open("a") as plugin:  # nothing can be forked beside a thread
        plugin.write("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()\n")
    ended = process("train", "-m", *ends, "loss.how=eats,well", "sweep.dir=sw", "sweep.memory_gib=1", "sweep.jobs=2")
    assert "a Python process of its own" in ended.out
    assert ended.code == 1
    assert re.search(r"job 0 failed: The job held 1\.\d+ GiB, more than sweep.memory_gib allows \(1\)\.", ended.err)
    assert states(folder / "sw") == {"0": "failed", "1": "done"}


@pytest.mark.slow
def test_a_failed_job_is_tried_again(folder: Path, process: Call, ends: tuple[str, ...]):
    ended = process("train", "-m", *ends, "loss.how=once,raises", "sweep.dir=sw", "sweep.retries=1")
    assert ended.code == 1
    assert states(folder / "sw") == {"0": "done", "1": "failed"}
    assert ended.err.count("and is tried again") == 2


@pytest.mark.slow
def test_fail_fast_starts_no_more_jobs(folder: Path, process: Call, ends: tuple[str, ...]):
    words = ("train", "-m", *ends, "loss.how=raises,well,once", "sweep.dir=sw", "sweep.jobs=1")
    assert process(*words, "sweep.fail_fast=true").code == 1
    assert states(folder / "sw") == {"0": "failed"}


@pytest.mark.slow
def test_more_values_run_only_the_new_jobs(folder: Path, process: Call):
    words = ("train", "-m", "model=simplenet", "train.max_steps=2")
    assert process(*words, "seed=0,1").code == 0
    sweep = newest_run(folder)
    before = {job: (sweep / job / "status.json").read_bytes() for job in "01"}
    ended = process(*words, "seed=2,1,0", "plots=false", "sweep.jobs=1")  # neither order nor harmless settings matter
    assert ended.code == 0, ended.err
    assert newest_run(folder) == sweep
    assert "3, 2 of them done" in ended.out
    assert {job: (sweep / job / "status.json").read_bytes() for job in "01"} == before
    assert json.loads((sweep / "2" / "summary.json").read_text())["seed"] == 2
    assert "1, 1 of them done" in process(*words, "seed=choice(1)").out  # of this command
    (sweep / "0" / "status.json").unlink()
    assert process("sweep", "work", str(sweep)).code == 0  # the job is none of the newest command
    assert not (sweep / "0" / "status.json").exists()
    assert process(*words, "seed=0,1", "sweep.dir=new").code == 0
    assert newest_run(folder) != sweep


@pytest.mark.slow
def test_a_job_with_damaged_files_is_done_over_and_the_others_go_on(folder: Path, process: Call):
    words = ("train", "-m", "seed=0,1,2", "model=simplenet", "train.max_steps=3", "hydra.sweep.dir=s", "sweep.jobs=1")
    assert process(*words).code == 0
    (folder / "s" / "0" / "status.json").write_text("{")
    (folder / "s" / "1" / "job.json").write_text("{")
    for job in ("1", "2"):
        (folder / "s" / job / "status.json").write_text(json.dumps({"state": "interrupted", "exit_code": 75}))
    ended = process(*words)
    assert ended.code == 0, ended.err
    states = [json.loads((folder / "s" / job / "status.json").read_text())["state"] for job in ("0", "1", "2")]
    assert states == ["done", "done", "done"]
    assert json.loads((folder / "s" / "1" / "job.json").read_text())["overrides"][0] == "seed=1"


@pytest.mark.slow
def test_a_folder_for_two_jobs_is_refused(folder: Path, process: Call):
    words = ("train", "-m", "model=simplenet", "train.max_steps=1", "hydra.sweep.dir=sw", "-q")
    ended = process(*words, "seed=8,9", "hydra.sweep.subdir=same")
    assert ended.code == 2
    assert "hydra.sweep.subdir: the folder sw/same is that of another job." in ended.err
    assert not (folder / "sw").exists()
    assert process(*words, "seed=10", "hydra.sweep.subdir=s${seed}").code == 0
    assert states(folder / "sw") == {"s10": "done"}


@pytest.mark.slow
def test_a_recipe_can_hold_the_axes_and_the_settings_of_a_sweep(folder: Path, process: Call):
    (folder / "conf" / "experiment").mkdir(parents=True)
    (folder / "conf" / "experiment" / "seeds.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 5,6\n"
        "sweep:\n  jobs: 1\n  dir: sw\ntrain:\n  max_steps: 1\n"
    )
    ended = process("train", "experiment=seeds", "model=simplenet")
    assert ended.code == 2
    assert "which -m starts" in ended.err
    ended = process("train", "-m", "experiment=seeds", "model=simplenet")
    assert ended.code == 0, ended.err
    assert "at once  1" in ended.out
    assert [json.loads((folder / "sw" / job / "summary.json").read_text())["seed"] for job in "01"] == [5, 6]
    assert "sweep" not in (folder / "sw" / "0" / "resolved.yaml").read_text()


def test_settings_of_a_sweep_need_m(ptrun: Call, process: Call):
    ended = ptrun("train", "sweep.jobs=2")
    assert ended.code == 2
    assert "`ptrun train -m sweep.jobs=2`" in ended.err
    ended = process("train", "-m", "seed=1,2", "sweep.job=2")
    assert ended.code == 2
    assert "sweep.job: there is no such key. Did you mean 'sweep.jobs'?" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["driver", "job"])
def test_a_stopped_or_killed_sweep_goes_on_with_equal_bits(folder: Path, process: Call, victim: str):
    """The driver is stopped by SIGTERM or killed by SIGKILL while a job trains; the same command ends the sweep."""
    words = ["train", "-m", "model=simplenet", "seed=0,1", "train.epochs=60", "plots=false", "device.threads=1"]
    words += ["checkpoint.every_steps=20"]
    started = subprocess.Popen(
        [sys.executable, "-m", "ptrun", *words, "sweep.dir=sw"], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    while not list((folder / "sw").glob("0/checkpoints/last.pt")):
        assert started.poll() is None
        time.sleep(0.05)
    started.send_signal(signal.SIGTERM if victim == "job" else signal.SIGKILL)
    code = started.wait()
    assert code == (75 if victim == "job" else -signal.SIGKILL)
    ended = process(*words, "sweep.dir=sw")
    assert ended.code == 0, ended.err
    assert "continued" in json.loads((folder / "sw" / "0" / "receipt.json").read_text())
    assert process(*words, "sweep.dir=whole", "sweep.jobs=1").code == 0
    for job in "01":
        weights = [store.load(folder / sweep / job / "checkpoints" / "last.pt")["model"] for sweep in ("sw", "whole")]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
        records = [(folder / sweep / job / "test" / "predictions.csv").read_bytes() for sweep in ("sw", "whole")]
        assert records[0] == records[1]


@pytest.mark.slow
def test_a_job_that_another_machine_has_taken_up_is_left_to_it(folder: Path):
    words = ["train", "-m", "model=simplenet", "seed=0", "train.epochs=3000", "plots=false", "sweep.dir=sw"]
    driver = subprocess.Popen(
        [sys.executable, "-um", "ptrun", *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert driver.stdout is not None
    for line in driver.stdout:
        if "job 0 started" in line:
            break
    record = folder / "sw" / "0" / ".claim-by"
    record.write_text(json.dumps({"token": "1", "peers": "another system", "host": "far"}))
    assert driver.stdout.readline() == "  job 0 is continued by another process\n"
    driver.terminate()  # it waits for the other machine
    assert driver.wait() == 75
    driver.stdout.close()
    assert states(folder / "sw") in ({}, {"0": "running"})
    assert record.is_file()


@pytest.mark.slow
def test_latest_after_a_sweep_stands_for_its_runs(folder: Path, ptrun: Call, process: Call):
    assert process("train", "-m", "optimizer=sgd", "optimizer.lr=1e30,1e-6,0.1", "train.epochs=1", "-q").code == 1
    sweep = newest_run(folder)
    assert (sweep / "sweep.json").is_file()
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


SEARCH = (
    "train", "-m", "sweep=tpe", "optimizer.lr=tag(log,interval(1e-4,1e-1))", "model=simplenet", "train.epochs=3",
    "device.threads=1", "sweep.dir=sw",
)  # fmt: skip


@pytest.mark.slow
def test_a_search_prunes_goes_on_and_promotes_bit_for_bit(folder: Path, process: Call, ptrun: Call):
    ended = process(*SEARCH, "sweep.trials=3", "sweep.pruner=asha", "sweep.jobs=1")
    assert ended.code == 0, ended.err
    before = states(folder / "sw")
    assert set(before.values()) == {"done", "pruned"}
    pruned = next(job for job, state in before.items() if state == "pruned")
    status = json.loads((folder / "sw" / pruned / "status.json").read_text())
    assert re.match(r"pruned after epoch 1: val/loss .*, which is place 2 of 2; 1 goes on", status["reason"])
    assert (folder / "sw" / pruned / "checkpoints" / "last.pt").is_file()
    assert "pruned, epoch 1" in ended.out

    ended = process(*SEARCH, "sweep.trials=4", "sweep.jobs=2")  # without the pruner all are trained to their end
    assert ended.code == 0, ended.err
    assert set(states(folder / "sw").values()) == {"done"}
    assert len(states(folder / "sw")) == 4
    value = json.loads((folder / "sw" / pruned / "job.json").read_text())["point"]["optimizer.lr"]
    assert ptrun("train", *SEARCH[4:-1], f"optimizer.lr={value}", "-q").code == 0
    runs = [folder / "sw" / pruned, newest_run(folder)]
    weights = [store.load(run / "checkpoints" / "last.pt")["model"] for run in runs]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert "continued" in json.loads((runs[0] / "receipt.json").read_text())


@pytest.mark.slow
def test_the_runs_of_a_configuration_are_pruned_and_promoted_together(folder: Path, process: Call):
    words = ("train", "-m", "model=simplenet", "sweep.seeds=2", "train.epochs=3", "sweep.pruner=asha", "sweep.dir=sw")
    ended = process(*words, "optimizer.lr=0.01,1e-6", "sweep.jobs=1")
    assert ended.code == 0, ended.err
    assert states(folder / "sw") == {"0": "done", "1": "done", "2": "pruned", "3": "pruned"}
    assert "job 3 pruned without a run, as run 2 of the same configuration was" in ended.out
    assert not (folder / "sw" / "3" / "resolved.yaml").exists()
    assert process("verify", "sw").code == 0
    ended = process(*words, "optimizer.lr=0.01,1e-6,1e-7,1e-8,1e-9,1e-10", "sweep.jobs=1")
    assert ended.code == 0, ended.err
    assert "job 2 goes on" in ended.out
    assert [states(folder / "sw")[job] for job in "0123"] == ["done"] * 4


@pytest.mark.slow
def test_the_best_configuration_is_tested_with_all_its_seeds(folder: Path, process: Call):
    words = ("train", "-m", "model=simplenet", "optimizer.lr=0.01,1e-6", "sweep.seeds=2", "train.max_steps=20")
    ended = process(*words, "sweep.dir=sw")
    assert ended.code == 0, ended.err
    tested = [json.loads((folder / "sw" / job / "summary.json").read_text())["test"] != {} for job in "0123"]
    assert tested == [True, True, False, False]
    assert "job 0 is tested: optimizer.lr=0.01 seed=0" in ended.out
    assert "is tested" not in process(*words, "sweep.dir=sw").out
    ended = process(*words, "sweep.dir=all", "sweep.test=all")
    assert all((folder / "all" / job / "test" / "metrics.json").is_file() for job in "0123")
    assert "is tested" not in ended.out
    ended = process(*words, "sweep.dir=none", "sweep.test=none")
    assert not list((folder / "none").glob("*/test"))
    assert "test accuracy" not in ended.out
