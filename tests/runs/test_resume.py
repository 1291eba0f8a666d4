"""A stopped run goes on in its own folder and ends with the bits, and the files, of one that was never stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import ROOT, Ended, newest_run, train

from ptrun.checkpoint import names, store

Call = Callable[..., Ended]
RUN = (
    "model=convnet",
    "transform=basic",
    "train.epochs=6",
    "train.batch_size=64",
    "train.ema_decay=0.99",
    "checkpoint.keep_best=2",  # else a small state is written once a second at most, and not in the first one
    "device.threads=1",
)
VOLATILE = ("seconds", "samples_per_second", "data_wait_percent")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "ptrun", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=folder)


def stop_after(process: subprocess.Popen[str], epoch: int, how: int) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith(f"{epoch}/"):
            break
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    return err


def records(run_dir: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in VOLATILE} for line in lines]


def assert_equal_runs(one: Path, other: Path) -> None:
    for name in ("last.pt", "best.pt"):
        states = [store.load(path / "checkpoints" / name) for path in (one, other)]
        for part in ("model", "ema"):
            assert states[0][part].keys() == states[1][part].keys()
            assert all(torch.equal(states[0][part][key], states[1][part][key]) for key in states[0][part]), (name, part)
        assert states[0]["progress"]["step"] == states[1]["progress"]["step"]
        assert torch.equal(states[0]["random"]["torch"], states[1]["random"]["torch"])
    assert records(one) == records(other)
    assert (one / "test" / "predictions.csv").read_bytes() == (other / "test" / "predictions.csv").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "ptrun", "train", *RUN, "-q"], check=True, env=env, cwd=folder)
    return newest_run(folder)


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_stopped_and_resumed_equals_the_whole(folder: Path, process: Call, whole: Path, how: int):
    err = stop_after(start(folder, "train", *RUN), 2, how)
    run_dir = newest_run(folder)
    if how == signal.SIGTERM:
        assert f"Continue it with: ptrun resume {run_dir.relative_to(folder)}" in err
    ended = process("resume", OMP_NUM_THREADS="1")
    assert ended.code == 0, ended.err
    assert "Continues from" in ended.out
    assert_equal_runs(run_dir, whole)
    assert json.loads((run_dir / "status.json").read_text())["state"] == "done"
    assert len(json.loads((run_dir / "receipt.json").read_text())["continued"]) == 1


@pytest.mark.parametrize(
    "cadence", ["checkpoint.every_steps=7", pytest.param("checkpoint.every_minutes=1e-6", marks=pytest.mark.slow)]
)
def test_killed_after_a_checkpoint_within_an_epoch(folder: Path, process: Call, whole: Path, cadence: str):
    stop_after(start(folder, "train", *RUN, cadence), 2, signal.SIGKILL)
    run_dir = newest_run(folder)
    ended = process("resume", OMP_NUM_THREADS="1")
    assert ended.code == 0, ended.err
    assert_equal_runs(run_dir, whole)


@pytest.mark.slow
def test_stopped_three_times(folder: Path, process: Call, whole: Path):
    stop_after(start(folder, "train", *RUN), 1, signal.SIGTERM)
    for epoch in (2, 4):
        stop_after(start(folder, "train", *RUN, "resume=auto"), epoch, signal.SIGTERM)
    ended = process("train", *RUN, "resume=auto", OMP_NUM_THREADS="1")
    assert ended.code == 0, ended.err
    assert_equal_runs(newest_run(folder), whole)
    assert len(list((folder / "outputs").glob("*/*/status.json"))) == 1


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_passed_over(folder: Path, process: Call, whole: Path):
    stop_after(start(folder, "train", *RUN), 3, signal.SIGKILL)
    run_dir = newest_run(folder)
    newest = names.step_files(run_dir / "checkpoints")[-1]
    content = newest.read_bytes()
    newest.unlink()  # not written through the name, which the best one may share
    newest.write_bytes(content[: len(content) // 2])
    ended = process("resume", str(run_dir), OMP_NUM_THREADS="1")
    assert ended.code == 0, ended.err
    assert "Passed over" in ended.out
    assert newest.name in ended.out
    assert_equal_runs(run_dir, whole)


def test_all_damaged_is_an_error_and_never_a_new_start(folder: Path, ptrun: Call):
    assert ptrun("train", "train.epochs=2", "-q").code == 0
    run_dir = newest_run(folder)
    for path in (run_dir / "checkpoints").iterdir():
        path.write_bytes(b"nothing")
    before = (run_dir / "metrics.jsonl").read_bytes()
    ended = ptrun("resume", str(run_dir))
    assert ended.code == 4
    assert "every checkpoint of this run is damaged" in ended.err
    assert (run_dir / "metrics.jsonl").read_bytes() == before


def test_a_run_without_a_checkpoint_starts_again_in_its_folder(folder: Path, ptrun: Call):
    assert ptrun("train", "train.epochs=1", "-q").code == 0
    run_dir = newest_run(folder)
    shutil.rmtree(run_dir / "checkpoints")
    (run_dir / "status.json").write_text('{"state": "running"}')
    ended = ptrun("resume")
    assert ended.code == 0, ended.err
    assert "never saved a checkpoint" in ended.out
    assert [record["epoch"] for record in records(run_dir)] == [1]


def test_a_finished_run_is_extended(folder: Path, ptrun: Call):
    ptrun("train", "train.epochs=2", "-q")
    run_dir = newest_run(folder)
    ended = ptrun("resume", str(run_dir), "train.epochs=4")
    assert ended.code == 0, ended.err
    assert "train.epochs: 2 until now, 4 from here on. The learning-rate schedule is stretched" in ended.out
    assert [record["epoch"] for record in records(run_dir)] == [1, 2, 3, 4]
    assert json.loads((run_dir / "summary.json").read_text())["epochs"] == 4


def test_nothing_left_to_train_is_told(folder: Path, ptrun: Call):
    ptrun("train", "model=simplenet", "train.epochs=2", "-q")
    run_dir = newest_run(folder)
    tested = (run_dir / "test" / "metrics.json").read_text()
    ended = ptrun("resume", str(run_dir))
    assert ended.code == 0, ended.err
    assert "Nothing is left to train: 2 epochs are done." in ended.out
    assert "80 steps, none of them now" in ended.out
    assert [record["epoch"] for record in records(run_dir)] == [1, 2]
    assert (run_dir / "test" / "metrics.json").read_text() == tested


def test_a_run_can_not_end_before_the_point_that_it_has_reached(folder: Path, ptrun: Call):
    ptrun("train", "model=simplenet", "train.epochs=3", "-q")
    run_dir = newest_run(folder)
    config = (run_dir / "resolved.yaml").read_text()
    for change, message in (
        ("train.epochs=2", "train.epochs: 2 is less than the 3 epochs that this run has done"),
        ("train.max_steps=119", "train.max_steps: 119 is less than the 120 steps that this run has taken"),
    ):
        ended = ptrun("resume", str(run_dir), change)
        assert ended.code == 2, change
        assert message in ended.err
        assert (run_dir / "resolved.yaml").read_text() == config


def test_a_run_of_more_steps_than_its_epochs_have_is_continued(folder: Path, ptrun: Call):
    """train.max_steps takes the place of train.epochs, so that more epochs may be done than train.epochs says."""
    ptrun("train", "dataset=iris", "model=simplenet", "train.epochs=1", "train.max_steps=12", "-q")
    run_dir = newest_run(folder)
    assert len(records(run_dir)) == 3
    for change in ((), ("train.max_steps=16",)):
        assert ptrun("resume", str(run_dir), *change, "-q").code == 0
    assert len(records(run_dir)) == 4
    assert "train.epochs: 1 is less than the 4 epochs" in ptrun("resume", str(run_dir), "train.max_steps=null").err


def test_a_run_that_ended_by_patience_trains_on_only_with_more_patience(folder: Path, ptrun: Call):
    """Also when it was killed while it was tested: the checkpoint alone says that training has ended."""
    early = ("dataset=iris", "model=simplenet", "train.epochs=60", "train.patience_epochs=2", "optimizer.lr=0.0", "-q")
    ptrun("train", *early)
    run_dir = newest_run(folder)
    before, summary = records(run_dir), json.loads((run_dir / "summary.json").read_text())
    assert len(before) == 3
    (run_dir / "summary.json").unlink()
    (run_dir / "status.json").write_text(json.dumps({"state": "running"}))
    for change in ((), (), ("train.epochs=70",)):
        ended = ptrun("resume", str(run_dir), *change)
        assert ended.code == 0, ended.err
        assert "the run ended after epoch 3 (no better val/accuracy in 2 epochs)" in " ".join(ended.out.split())
        assert records(run_dir) == before
        again = json.loads((run_dir / "summary.json").read_text())
        assert [again[key] for key in ("epochs", "stopped", "best_epoch")] == [
            summary[key] for key in ("epochs", "stopped", "best_epoch")
        ]
    assert ptrun("resume", str(run_dir), "train.patience_epochs=4", "-q").code == 0
    assert len(records(run_dir)) == 5


def test_an_extended_run_follows_the_longer_schedule(folder: Path, ptrun: Call):
    marks = ("model=simplenet", "optimizer.lr=0.01", "device.threads=1", "-q")
    ptrun("train", *marks, "train.epochs=2")
    run_dir = newest_run(folder)
    ended = ptrun("resume", str(run_dir), "train.epochs=4")
    assert "The learning rate is 0.005 from here on; as the run was started it would be 0." in ended.out
    ptrun("train", *marks, "train.epochs=4")
    extended, whole = ([record["lr"] for record in records(path)] for path in (run_dir, newest_run(folder)))
    assert extended[2:] == whole[2:]
    ptrun("train", *marks, "train.epochs=1", "scheduler=step")
    assert (
        "The schedule 'step' does not depend on the length" in ptrun("resume", "outputs/latest", "train.epochs=2").out
    )


def test_a_change_that_was_insisted_on_counts(folder: Path, ptrun: Call):
    ptrun("train", "model=simplenet", "optimizer.lr=0.01", "scheduler=none", "train.epochs=1", "-q")
    run_dir = newest_run(folder)
    marks = ("optimizer.lr=0.5", "train.epochs=2", "--allow-change", "optimizer.lr", "-q")
    assert ptrun("resume", str(run_dir), *marks).code == 0
    assert [record["lr"] for record in records(run_dir)] == [0.01, 0.5]


@pytest.mark.slow
def test_strict_goes_on_only_where_the_bits_are_the_same(folder: Path, process: Call, ptrun: Call):
    marks = ("model=simplenet", "train.epochs=1", "device.threads=1", "train.deterministic=strict", "-q")
    assert process("train", *marks).code == 0
    run_dir = newest_run(folder)
    ended = process("resume", str(run_dir), "train.epochs=2", "device.threads=2")
    assert ended.code == 2
    assert "The run began with 1 CPU thread, now there are 2" in ended.err
    assert "train.deterministic=strict goes on only where the bits are the same" in ended.err
    path = run_dir / "checkpoints" / "step-00000040.pt"
    saved = store.load(path)
    for change, said in (
        ({"device": "NVIDIA X"}, "began on the device NVIDIA X, this is cpu"),
        ({"versions": {"torch": "1.0"}}, "began with torch 1.0"),
        ({"data": {**saved["data"], "train": "other"}}, r"The data are not those the run began with (train changed)"),
    ):
        path.unlink()
        torch.save({**saved, **change}, path)
        ended = ptrun("resume", str(run_dir), "train.epochs=2")
        assert ended.code == 2, change
        assert said in ended.err
    insisted = ("train.deterministic=true", "--allow-change", "train.deterministic")
    ended = process("resume", str(run_dir), "train.epochs=2", *insisted)
    assert ended.code == 0, ended.err
    assert "The data are not those" in ended.out


def test_a_change_of_the_numbers_is_refused_by_name(folder: Path, ptrun: Call):
    ptrun("train", "train.epochs=1", "-q")
    run_dir = newest_run(folder)
    ended = ptrun("resume", str(run_dir), "optimizer.lr=0.5", "train.batch_size=16", "train.epochs=2")
    assert ended.code == 2
    assert "optimizer.lr: the run was started with 0.001, now it is 0.5" in ended.err
    assert "train.batch_size" in ended.err
    assert "train.epochs" not in ended.err
    allowed = ("--allow-change", "optimizer.lr", "--allow-change", "train.batch_size")
    assert (
        ptrun("resume", str(run_dir), "optimizer.lr=0.5", "train.batch_size=16", "train.epochs=2", *allowed).code == 0
    )


def test_nothing_to_resume_is_told(folder: Path, ptrun: Call):
    assert "no run there is unfinished" in ptrun("resume").err
    ended = ptrun("train", "train.epochs=1", "resume=auto")
    assert ended.code == 0
    assert "no unfinished run of this configuration" in ended.out
    assert "neither a run folder nor a checkpoint" in ptrun("resume", "conf").err


@pytest.mark.slow
def test_a_run_that_is_running_is_left_alone(folder: Path, ptrun: Call):
    process = start(folder, "train", "train.epochs=100000")
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith("1/"):
            break
    assert "no run there is unfinished" in ptrun("resume").err
    assert f"in use by process {process.pid}" in ptrun("resume", "outputs/latest").err
    process.kill()
    process.communicate()


def test_changed_data_are_told(folder: Path, ptrun: Call):
    rows = [f"{i % 7},{i % 2}" for i in range(80)]
    (folder / "t.csv").write_text("x,y\n" + "\n".join(rows) + "\n")
    train("dataset=table", "dataset.path=t.csv", "dataset.target=y", "train.epochs=1", quiet=True)
    (folder / "t.csv").write_text("x,y\n" + "\n".join(rows[::-1]) + "\n")
    ended = ptrun("resume", "outputs/latest", "train.epochs=2")
    assert ended.code == 0, ended.err
    assert "The data are not those the run began with" in ended.out


@pytest.mark.parametrize("parts", [(3, 9, 12), (8, 20)])
def test_max_steps_within_an_epoch_is_extended_with_the_files_of_one_run(
    folder: Path, ptrun: Call, parts: tuple[int, ...]
):
    """The validation at the end of max_steps counts for its run alone: best.pt, keep_best, metrics.csv forget it."""
    asked = ("dataset=diabetes", "model=simplenet", "train.batch_size=48", "optimizer.lr=0.05", "scheduler=none")
    asked += ("checkpoint.keep_best=2", "device.threads=1", "train.ema_decay=0.5")  # 7 steps an epoch
    run_dir = train(*asked, f"train.max_steps={parts[0]}", quiet=True).run_dir
    for steps in parts[1:]:
        ended = ptrun("resume", str(run_dir), f"train.max_steps={steps}")
        assert ended.code == 0, ended.err
    whole = train(*asked, f"train.max_steps={parts[-1]}", quiet=True).run_dir
    assert_equal_runs(run_dir, whole)
    kept = [[path.name for path in names.step_files(path / "checkpoints")] for path in (run_dir, whole)]
    assert set(kept[1]) <= set(kept[0])  # an extended run may still have the newest of before


def test_max_steps_within_an_epoch_is_extended_to_whole_epochs(folder: Path, ptrun: Call):
    asked = ("dataset=diabetes", "model=simplenet", "train.batch_size=48", "optimizer.lr=0.05", "scheduler=none")
    asked += ("device.threads=1", "train.ema_decay=0.5")  # 7 steps an epoch
    run_dir = train(*asked, "train.max_steps=10", quiet=True).run_dir
    ended = ptrun("resume", str(run_dir), "train.max_steps=null", "train.epochs=3")
    assert ended.code == 0, ended.err
    assert_equal_runs(run_dir, train(*asked, "train.epochs=3", quiet=True).run_dir)


def test_a_run_at_its_max_steps_is_only_tested_again(folder: Path, ptrun: Call):
    run_dir = train("dataset=diabetes", "model=simplenet", "train.max_steps=5", quiet=True).run_dir
    before = records(run_dir)
    ended = ptrun("resume", str(run_dir))
    assert ended.code == 0, ended.err
    assert "Nothing is left to train: 5 steps are done." in " ".join(ended.out.split())
    assert records(run_dir) == before
