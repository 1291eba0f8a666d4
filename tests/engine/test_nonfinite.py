"""A non-finite loss, gradient or weight stops the run, is skipped or rolled back, and never gets into a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import Ended, build_run, newest_run, train

from ptrun.checkpoint import store
from ptrun.errors import ConfigError, DivergedError

Call = Callable[..., Ended]
# A model that misbehaves in certain calls of training.
PLUGIN = """
import torch
from torch import nn
from ptrun.registry import losses, models


class Overflow(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g * torch.inf


class Spiky(nn.Module):
    def __init__(self, spec, first, last, how):
        super().__init__()
        self.flat, self.norm = nn.Flatten(), nn.BatchNorm1d(spec.num_features)
        self.last, self.how, self.bounds = nn.Linear(spec.num_features, spec.num_outputs), how, (first, last)
        self.calls = 0

    def forward(self, x):
        x = self.flat(x)
        self.calls += self.training
        bad = self.training and self.bounds[0] <= self.calls < self.bounds[1]
        if bad and self.how == "loss":
            x = x * torch.nan
        x = self.last(self.norm(x))
        return Overflow.apply(x) if bad and self.how == "gradient" else x


@models.register
def spiky(spec, *, first: int = 5, last: int = 7, how: str = "loss"):
    return Spiky(spec, first, last, how)
"""
RUN = ("train.epochs=2", "train.batch_size=64", "device.threads=1")  # 20 steps an epoch


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all tests: a name is registered once."""
    path = tmp_path_factory.mktemp("plugin") / "spiky.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def spiky(plugin: Path, folder: Path) -> tuple[str, ...]:
    """A model whose training calls from `first` to before `last` go wrong."""
    return (f"plugins=[{plugin}]", "model=spiky", *RUN)


def records(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def is_finite(run_dir: Path) -> bool:
    state = store.load(run_dir / "checkpoints" / "last.pt")["model"]
    return all(bool(torch.isfinite(each).all()) for each in state.values())


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_stop_is_the_default(spiky: tuple[str, ...], how: str):
    with pytest.raises(DivergedError):
        train(*spiky, f"model.how={how}", quiet=True)


@pytest.mark.parametrize("how", ["loss", "gradient"])
@pytest.mark.parametrize("accumulation", [1, 3])
def test_skip_leaves_bad_steps_out(spiky: tuple[str, ...], how: str, accumulation: int):
    result = train(
        *spiky, f"model.how={how}", "train.on_nonfinite=skip", f"train.grad_accumulation={accumulation}", quiet=True
    )
    assert result.summary["skipped_steps"] == (2 if accumulation == 1 else 1)
    assert result.summary["steps"] == (40 if accumulation == 1 else 14)
    assert is_finite(result.run_dir)  # running statistics of batch norm too
    assert all(record["train/loss"] < 10 for record in records(result.run_dir))


def test_skipping_without_need_changes_no_bit(folder: Path):
    runs = [
        train(*RUN, "model=regularized", f"train.on_nonfinite={mode}", quiet=True)
        for mode in ("stop", "skip", "rollback")
    ]
    states = [store.load(run.run_dir / "checkpoints" / "last.pt")["model"] for run in runs]
    assert all(torch.equal(states[0][name], other[name]) for other in states[1:] for name in other)
    assert records(runs[0].run_dir)[1]["train/loss"] == records(runs[1].run_dir)[1]["train/loss"]


def test_a_hundred_skips_in_a_row_are_an_error(spiky: tuple[str, ...], folder: Path):
    marks = ("train.on_nonfinite=skip", "train.epochs=9", "model.last=1000000")
    with pytest.raises(DivergedError, match="in 100 steps in a row, up to step 104"):
        train(*spiky, *marks, quiet=True)
    assert is_finite(newest_run(folder))


def test_skips_are_told(spiky: tuple[str, ...], ptrun: Call):
    ended = ptrun("train", *spiky, "train.on_nonfinite=skip")
    assert "2 steps whose loss or gradient was non-finite" in ended.out


def test_a_run_that_stopped_goes_on_with_another_answer(spiky: tuple[str, ...], ptrun: Call, folder: Path):
    assert ptrun("train", *spiky, "-q").code == 5
    ended = ptrun("resume", "outputs/latest", spiky[0], "train.on_nonfinite=skip")
    assert ended.code == 0, ended.err
    assert json.loads((newest_run(folder) / "summary.json").read_text())["skipped_steps"] == 2


def test_rollback_returns_to_the_last_weights(spiky: tuple[str, ...], ptrun: Call, folder: Path):
    marks = ("train.on_nonfinite=rollback", "model.first=25", "model.last=26", "checkpoint.every_steps=10")
    ended = ptrun("train", *spiky, *marks, "checkpoint.keep=9", "optimizer=sgd", "optimizer.momentum=0.9")
    assert ended.code == 0, ended.err
    assert "1 times to earlier weights" in ended.out
    run_dir = newest_run(folder)
    assert json.loads((run_dir / "summary.json").read_text())["rollbacks"] == 1
    assert is_finite(run_dir)
    assert (run_dir / "checkpoints" / "step-00000000.pt").is_file()


def test_rollback_undoes_the_steps_since_the_checkpoint(spiky: tuple[str, ...], folder: Path):
    """The last step of the run is bad: what is saved then are the weights of the checkpoint before it."""
    marks = (
        "train.on_nonfinite=rollback",
        "model.first=40",
        "model.last=41",
        "checkpoint.every_steps=30",
        "checkpoint.keep=9",
    )
    run_dir = train(*spiky, *marks, quiet=True).run_dir
    before, after = (store.load(run_dir / "checkpoints" / f"step-{step:08d}.pt") for step in (30, 40))
    assert all(torch.equal(before["model"][name], after["model"][name]) for name in before["model"])
    assert after["progress"]["rollbacks"] == 1


def test_too_many_rollbacks_are_an_error(spiky: tuple[str, ...], folder: Path):
    with pytest.raises(DivergedError, match="after 3 returns to earlier weights"):
        train(*spiky, "train.on_nonfinite=rollback", "model.last=1000000", quiet=True)
    assert is_finite(newest_run(folder))


def test_fp16_overflows_are_no_error_until_they_never_end(spiky: tuple[str, ...], folder: Path):
    few = train(*spiky, "model.how=gradient", "device.precision=fp16", quiet=True)
    assert is_finite(few.run_dir)
    with pytest.raises(DivergedError, match="overflowed fp16 in about 100 steps in a row"):
        train(*spiky, "model.how=gradient", "device.precision=fp16", "model.last=1000000", "train.epochs=9", quiet=True)


@pytest.mark.parametrize("on_oom", ["stop", "halve"])
def test_steps_that_overflow_fp16_are_counted_and_do_not_move_the_schedule(
    spiky: tuple[str, ...], ptrun: Call, folder: Path, on_oom: str
):
    marks = ("model.how=gradient", "model.first=3", "model.last=8", "device.precision=fp16", f"train.on_oom={on_oom}")
    ended = ptrun("train", *spiky, *marks, "scheduler=step", "scheduler.step_epochs=1", "optimizer=adam")
    assert ended.code == 0, ended.err
    run_dir = newest_run(folder)
    summary = json.loads((run_dir / "summary.json").read_text())
    saved = store.load(run_dir / "checkpoints" / "last.pt")
    taken = int(saved["optimizer"]["state"][0]["step"])
    assert summary["skipped_steps"] == saved["progress"]["overflowed"] == summary["steps"] - taken >= 5
    assert f"{summary['skipped_steps']} steps whose gradients overflowed fp16" in ended.out
    ctx = build_run(*spiky, *marks, "scheduler=step", "scheduler.step_epochs=1", "optimizer=adam").ctx
    ctx.schedule.step(taken)
    assert saved["optimizer"]["param_groups"][0]["lr"] == ctx.optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("optimizer=lbfgs", "train.on_nonfinite=skip"), "whose step can't be undone"),
        (("checkpoint=none", "train.on_nonfinite=rollback"), "checkpoint=none saves none"),
    ],
)
def test_what_can_not_be_combined_is_told(folder: Path, words: tuple[str, ...], said: str):
    with pytest.raises(ConfigError, match=said):
        train("model=simplenet", *words, quiet=True)
