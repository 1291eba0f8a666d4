"""A signal to the process, or to its group with data workers: saves at the next step and ends with exit code 75."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faulty import (
    INSTANTS,
    LEAN,
    NO_PLOTS,
    SITE,
    assert_equal_runs,
    assert_whole,
    checkpoints,
    children,
    done,
    latest,
    load,
    ptrun,
    runs,
    start,
)
from PIL import Image

pytestmark = pytest.mark.faults
SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP")
RUN = ("model=regularized", "train.epochs=2", "device.threads=1", "train.ema_decay=0.9", "transform=basic", *LEAN)
DIGITS = (*RUN, "train.batch_size=128")  # ten steps per epoch
GROUP = [False, True]
Send = Callable[[int, int], None]


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Settings of a run on twenty photos to train on, ten steps an epoch, read by two workers."""
    root = tmp_path_factory.mktemp("data") / "photos"
    pixels = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(15):
            Image.fromarray(pixels.integers(0, 256, (10, 10, 3), dtype=np.uint8)).save(root / label / f"{number}.png")
    train = "[{random_resized_crop:{size:[8,8]}},{horizontal_flip:{}},{normalize:{mean:half,std:half}}]"
    images = (f"transform.train={train}", "transform.eval=[{resize:{size:[8,8]}},{normalize:{mean:half,std:half}}]")
    return (*RUN, *images, "dataset=image_folder", f"dataset.root={root}", "train.batch_size=2", "train.num_workers=2")


@pytest.fixture(scope="session")
def wholes(tmp_path_factory: pytest.TempPathFactory, photos: tuple[str, ...]) -> dict[bool, Path]:
    """Uninterrupted runs: on digits, and on photos with workers."""
    folders = {group: tmp_path_factory.mktemp(f"never-stopped-{group}") for group in GROUP}
    return {group: done(folders[group], "train", *(photos if group else DIGITS), "-q") for group in GROUP}


def sender(group: bool) -> Send:
    """The function that sends a signal to a process, or to its group."""
    return os.killpg if group else os.kill


@pytest.mark.parametrize("group", GROUP)
def test_each_signal_saves_and_the_run_goes_on(
    tmp_path: Path, photos: tuple[str, ...], wholes: dict[bool, Path], group: bool
):
    """One run, stopped by each signal in turn, in the third step after it continued."""
    arguments = ("train", *(photos if group else DIGITS), INSTANTS, "resume=auto")
    for count, name in enumerate(SIGNALS, start=1):
        process = start(tmp_path, *arguments, STOP_AT="3 train Regularized")
        process.wait_until_stopped()
        workers = children(process.popen.pid)
        assert len(workers) == (2 if group else 0)
        sender(group)(process.popen.pid, getattr(signal, name))
        os.kill(process.popen.pid, signal.SIGCONT)
        ended = process.wait()
        assert ended.code == 75, (name, ended.code, ended.err)
        assert f"Stopped by {name} at step {3 * count}. Its state is in " in ended.err
        assert load(checkpoints(latest(tmp_path))[-1])["progress"]["step"] == 3 * count
        assert '"interrupted"' in (latest(tmp_path) / "status.json").read_text()
        assert_gone(workers)
    assert_equal_runs(done(tmp_path, *arguments), wholes[group])
    assert len(runs(tmp_path)) == 1


@pytest.mark.parametrize("group", GROUP)
@pytest.mark.parametrize("instant", ["14 train Regularized", "3 open new step.pt"])
def test_a_second_signal_ends_at_once(
    tmp_path: Path, photos: tuple[str, ...], wholes: dict[bool, Path], group: bool, instant: str
):
    """In a step, and while a checkpoint is written: the newest published one stays undamaged."""
    settings = (*(photos if group else DIGITS), "checkpoint.every_steps=4", INSTANTS)
    process = start(tmp_path, "train", *settings, STOP_AT=instant)
    process.wait_until_stopped()
    workers = children(process.popen.pid)
    for name in ("SIGINT", "SIGTERM"):  # both are pending while it is stopped; either may be delivered first
        sender(group)(process.popen.pid, getattr(signal, name))
    os.kill(process.popen.pid, signal.SIGCONT)
    ended = process.wait()
    assert ended.code in (128 + signal.SIGINT, 128 + signal.SIGTERM), (ended.code, ended.err)
    assert ended.err == ""
    assert_gone(workers)
    run_dir = latest(tmp_path)
    status = json.loads((run_dir / "status.json").read_text())
    assert (status["state"], status["exit_code"]) == ("interrupted", ended.code), status
    newest = checkpoints(run_dir)[-1]
    # After steps 4, 8, 10 (the end of the epoch) and 12; the writing thread may not have finished the last one.
    assert load(newest)["progress"]["step"] in ((10, 12) if "train" in instant else (8, 10))
    assert ptrun(tmp_path, "verify", str(newest)).code == 0
    assert_equal_runs(done(tmp_path, "resume"), wholes[group])


# Python runs this file first; an audit hook sees every import.
STOPS_AT_AN_IMPORT = """
import os, signal, sys
module = os.environ.get("STOP_AT_IMPORT", "")


def stop(event, arguments):
    global module
    if module and event == "import" and arguments[0] == module:
        module = ""
        os.kill(os.getpid(), signal.SIGSTOP)


sys.addaudithook(stop)
"""


@pytest.mark.parametrize("module", ["ptrun.cli.main", "hydra", "torch", "torch._C", "numpy", "ptrun.runs.session"])
def test_interrupted_while_it_starts(tmp_path: Path, module: str):
    (tmp_path / "sitecustomize.py").write_text(STOPS_AT_AN_IMPORT)
    path = f"{tmp_path}{os.pathsep}{SITE}"
    process = start(tmp_path, "train", "train.epochs=1", STOP_AT_IMPORT=module, PYTHONPATH=path)
    process.wait_until_stopped()
    os.kill(process.popen.pid, signal.SIGINT)
    os.kill(process.popen.pid, signal.SIGCONT)
    ended = process.wait()
    assert (ended.code, ended.err) == (130, "Stopped by the keyboard.\n")
    assert runs(tmp_path) == []


def test_interrupted_after_training(tmp_path: Path):
    """While plots are drawn: the folder records it, and `resume` finishes the run."""
    settings = [setting for setting in DIGITS if setting != NO_PLOTS]
    process = start(tmp_path, "train", *settings, INSTANTS, STOP_AT="1 open new loss.png")
    process.wait_until_stopped()
    os.kill(process.popen.pid, signal.SIGINT)
    os.kill(process.popen.pid, signal.SIGCONT)
    ended = process.wait()
    assert ended.code == 75
    assert "Result" in ended.out  # is not kept waiting by the plots
    assert ended.err.startswith("Stopped by SIGINT. Continue the run with: ptrun resume ")
    status = json.loads((latest(tmp_path) / "status.json").read_text())
    assert (status["state"], status["exit_code"]) == ("interrupted", 75)
    assert_whole(done(tmp_path, "resume"))


def assert_gone(workers: list[int]) -> None:
    """Workers end, at the latest when they notice that their parent ended."""
    for worker in workers:
        try:
            handle = os.pidfd_open(worker)
        except ProcessLookupError:
            continue
        assert select.select([handle], [], [], 20)[0], f"worker {worker} is still there"
        os.close(handle)
