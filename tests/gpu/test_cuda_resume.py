"""With deterministic kernels on a GPU, a run that was interrupted and resumed has the bits of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cuda_runs import CUDA, assert_equal_runs
from PIL import Image
from support import ROOT, Ended, newest_run

pytestmark = pytest.mark.gpu
Call = Callable[..., Ended]
STOPPER = """
import os
import signal
from ptrun.registry import loggers

class Stopper:
    def __init__(self, after_epoch):
        self.after_epoch = after_epoch
    def start(self, run_dir, config): ...
    def log(self, record):
        if record["epoch"] == self.after_epoch:
            os.kill(os.getpid(), signal.SIGTERM)
    def close(self): ...

@loggers.register
def stopper(*, run_dir, resume_step=None, after_epoch: int = 2):
    return Stopper(after_epoch)
"""
RUN = (*CUDA, "model=convnet", "train.epochs=4", "train.batch_size=100", "transform=basic")
AVERAGED = ("train.ema_decay=0.99", "train.grad_accumulation=3", "train.clip_norm=0.5")
CASES = {
    "plain": ("device.compile=none",),
    "graph": ("device.compile=step",),
    "bf16": ("device.precision=bf16", "device.compile=none"),
    "bf16 graph": ("device.precision=bf16", "device.compile=step"),
    "fp16": ("device.precision=fp16", "train.clip_norm=1"),
    "averaged": (*AVERAGED, "device.compile=none"),
    "averaged graph": (*AVERAGED, "device.compile=step"),
    "augmented": ("transform=augment",),
    "transformer": ("model=transformer", "model.dropout=0.2"),
    "attention graph": ("model=attention", "model.dropout=0.2", "device.compile=step"),
    "cifar_net": ("model=cifar_net", "optimizer=sgd", "optimizer.lr=0.1", "device.compile=step"),
    "skip": ("train.on_nonfinite=skip",),
    # Without dropout between layers: cuDNN draws for it from a random state of its own, which can't be saved.
    "lstm": ("dataset=series", "model=lstm", "model.dropout=0.3", "train.batch_size=500", "transform=auto"),
}  # fmt: skip


@pytest.fixture(scope="module")
def stopper(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A logger that sends SIGTERM after an epoch. One file for all tests, because a name can be registered once."""
    path = tmp_path_factory.mktemp("plugin") / "stopper.py"
    path.write_text(STOPPER)
    return f"plugins=[{path}]"


def stopped_and_resumed(ptrun: Call, folder: Path, stopper: str, *overrides: str) -> Path:
    """The folder of a run that a signal stopped after its second epoch and that was resumed."""
    ended = ptrun("train", stopper, "logger=stopper", *overrides, "-q")
    assert ended.code == 75, ended.err
    run_dir = newest_run(folder)
    ended = ptrun("resume", str(run_dir), stopper, "-q")
    assert ended.code == 0, ended.err
    return run_dir


@pytest.mark.parametrize("case", CASES)
def test_a_stopped_and_resumed_run_equals_the_whole_run(folder: Path, ptrun: Call, stopper: str, case: str):
    ended = ptrun("train", *RUN, *CASES[case], "-q")
    assert ended.code == 0, ended.err
    whole = newest_run(folder)
    assert_equal_runs(stopped_and_resumed(ptrun, folder, stopper, *RUN, *CASES[case]), whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_that_reads_files_equals_the_whole_run(folder: Path, ptrun: Call, stopper: str, workers: int):
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(0, 256, (40 + number % 5, 36, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / label / f"{number}.jpg")
    run = (
        *RUN,
        "dataset=image_folder",
        "dataset.root=photos",
        "transform=imagenet",
        "transform.train=[{random_resized_crop:{size:32}},horizontal_flip,{normalize:{}}]",
        "transform.eval=[{resize:{size:[32,32]}},{normalize:{}}]",
        "train.batch_size=16",
        f"train.num_workers={workers}",
    )
    ended = ptrun("train", *run, "-q")
    assert ended.code == 0, ended.err
    whole = newest_run(folder)
    assert_equal_runs(stopped_and_resumed(ptrun, folder, stopper, *run), whole)


@pytest.mark.parametrize("compile", ["none", "step"])
def test_a_run_killed_within_an_epoch_and_resumed_equals_the_whole_run(folder: Path, process: Call, compile: str):
    run = (*RUN, f"device.compile={compile}", "train.ema_decay=0.99", "checkpoint.keep_best=2")
    assert process("train", *run, "-q").code == 0
    whole = newest_run(folder)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "ptrun", "train", *run, "checkpoint.every_steps=5", "plots=false"]
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**env, "PYTHONUNBUFFERED": "1"}, cwd=folder
    )
    assert started.stdout is not None
    for line in started.stdout:
        if line.strip().startswith("2/"):
            break
    started.send_signal(signal.SIGKILL)
    started.communicate()
    run_dir = newest_run(folder)
    assert run_dir != whole
    ended = process("resume", str(run_dir), "-q")
    assert ended.code == 0, ended.err
    assert_equal_runs(run_dir, whole)
    assert len(json.loads((run_dir / "receipt.json").read_text())["continued"]) == 1
