"""Between the last training step and the end of the process: killed or stopped at random instants, a run ends complete.

A run of whole epochs, one that ends by patience, one whose train.max_steps lies within an epoch, and one that was
stopped by hand in its first epoch and continued.
PTRUN_ENDINGS sets how many random instants are tried for each.
"""

from __future__ import annotations

import json
import os
import random
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from faulty import INSTANTS, KILLED, LEAN, assert_equal_runs, done, latest, ptrun, runs, start

pytestmark = pytest.mark.faults
COUNT = int(os.environ.get("PTRUN_ENDINGS", "2"))
RUN = ("model=regularized", "train.batch_size=128", "train.ema_decay=0.9", "checkpoint.keep_best=2", *LEAN)
RUN += ("device.threads=1", "train.eval_batch_size=64")  # 10 steps an epoch
KINDS = {
    "plain": ("train.epochs=2",),
    "patience": ("train.epochs=9", "train.patience_epochs=1", "optimizer.lr=0"),
    "max_steps": ("train.max_steps=13",),
    "stopped": ("train.epochs=2",),
}


@dataclass(frozen=True)
class Reference:
    """An undisturbed run, and the numbers of its instants after the last training step."""

    run_dir: Path
    instants: range


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    references = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        begin(folder, kind)
        run_dir = done(folder, *command(kind), "-q", INSTANTS=str(folder / "instants"))
        names = (folder / "instants").read_text().splitlines()
        last_step = len(names) - names[::-1].index("train Regularized")
        references[kind] = Reference(run_dir, range(last_step + 1, len(names) + 1))
    assert_equal_runs(references["stopped"].run_dir, references["plain"].run_dir)
    return references


def command(kind: str) -> tuple[str, ...]:
    """The run of a kind with its instants numbered; one that was stopped by hand is continued."""
    return ("train", *RUN, *KINDS[kind], INSTANTS, *(("resume=auto",) if kind == "stopped" else ()))


def begin(folder: Path, kind: str) -> None:
    """For a run that is stopped by hand: train until its fifth step, and stop it there."""
    if kind != "stopped":
        return
    process = start(folder, "train", *RUN, *KINDS[kind], INSTANTS, STOP_AT="5 train Regularized")
    process.wait_until_stopped()
    os.kill(process.popen.pid, signal.SIGINT)
    os.kill(process.popen.pid, signal.SIGCONT)
    assert process.wait().code == 75


def state(run_dir: Path) -> str:
    return str(json.loads((run_dir / "status.json").read_text())["state"])


def assert_completed(folder: Path, kind: str, whole: Reference) -> None:
    """Continue the run unless it is done; it then equals the undisturbed one."""
    if state(latest(folder)) != "done":
        done(folder, "train", *RUN, *KINDS[kind], "resume=auto")
    assert_equal_runs(latest(folder), whole.run_dir)
    assert len(runs(folder)) == 1


@pytest.mark.parametrize("number", range(COUNT))
@pytest.mark.parametrize("kind", KINDS)
def test_killed_after_the_last_step(tmp_path: Path, whole: dict[str, Reference], kind: str, number: int):
    instant = random.Random(f"kill {kind} {number}").choice(whole[kind].instants)
    begin(tmp_path, kind)
    ended = ptrun(tmp_path, *command(kind), DIE_AT=str(instant))
    assert ended.code == KILLED, (ended.code, ended.err)
    assert_completed(tmp_path, kind, whole[kind])


@pytest.mark.parametrize("number", range(COUNT))
@pytest.mark.parametrize("kind", KINDS)
def test_stopped_after_the_last_step(tmp_path: Path, whole: dict[str, Reference], kind: str, number: int):
    """Exit code 75 and interrupted, or 0 and done: nothing in between."""
    draw = random.Random(f"stop {kind} {number}")
    instant, how = draw.choice(whole[kind].instants), draw.choice(["SIGTERM", "SIGUSR1", "SIGINT"])
    begin(tmp_path, kind)
    process = start(tmp_path, *command(kind), STOP_AT=str(instant))
    process.wait_until_stopped()
    os.kill(process.popen.pid, getattr(signal, how))
    os.kill(process.popen.pid, signal.SIGCONT)
    ended = process.wait()
    assert (ended.code, state(latest(tmp_path))) in ((75, "interrupted"), (0, "done")), (instant, how, ended.err)
    assert_completed(tmp_path, kind, whole[kind])
