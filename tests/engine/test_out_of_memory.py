"""When memory runs out, an error says what to try, or the step starts again with its batches in parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import Ended, newest_run, train

from ptrun.checkpoint import store
from ptrun.errors import ConfigError, ResourceError

Call = Callable[..., Ended]
# A model that asks the allocator for more than there is, when more than `most` samples come at once: before anything
# was computed, or in the backward pass, when a part of the gradients, statistics and random numbers are already used.
PLUGIN = """
import torch
from torch import nn
from ptrun.registry import models


class Hungry(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, most):
        ctx.most = most
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        eat(len(g), ctx.most)
        return g, None


def eat(samples, most):
    if samples > most:
        torch.empty(2**55)


class Eater(nn.Module):
    def __init__(self, spec, most, when, plain):
        super().__init__()
        self.most, self.when = most, when
        width = spec.num_features
        self.first = nn.Linear(width, width)
        self.middle = nn.Identity() if plain else nn.Sequential(nn.BatchNorm1d(width), nn.Dropout(0.2))
        self.last = nn.Linear(width, spec.num_outputs)

    def forward(self, x):
        if (self.training and self.when == "forward") or (not self.training and self.when == "evaluation"):
            eat(len(x), self.most)
        x = self.first(x.flatten(1))
        if self.training and self.when == "backward":
            x = Hungry.apply(x, self.most)
        return self.last(self.middle(x))


@models.register
def eater(spec, *, most: int = 1000000, when: str = "backward", plain: bool = True):
    return Eater(spec, most, when, plain)
"""
RUN = ("train.epochs=1", "train.batch_size=64", "device.threads=1", "optimizer=sgd", "optimizer.lr=0.1")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all tests: a name is registered once."""
    path = tmp_path_factory.mktemp("plugin") / "eater.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def eater(plugin: Path, folder: Path) -> tuple[str, ...]:
    """A training of the model that eats memory."""
    return (f"plugins=[{plugin}]", "model=eater", *RUN)


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    saved: dict[str, torch.Tensor] = store.load(run_dir / "checkpoints" / "last.pt")["model"]
    return saved


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("when", ["forward", "backward"])
def test_it_is_told_with_what_to_try(eater: tuple[str, ...], plugin: Path, ptrun: Call, folder: Path, when: str):
    ended = ptrun("train", *eater, "model.most=16", f"model.when={when}", "-q")
    assert ended.code == 6
    assert "Out of memory in training, epoch 1, with batches of 64 (train.batch_size) on cpu" in ended.err
    assert "B taken at the peak" in ended.err
    assert "train.on_oom=halve" in ended.err
    assert json.loads((newest_run(folder) / "status.json").read_text())["exit_code"] == 6
    ended = ptrun("resume", "outputs/latest", f"plugins=[{plugin}]", "train.on_oom=halve")
    assert ended.code == 0, ended.err


def test_evaluation_is_told_apart(eater: tuple[str, ...]):
    with pytest.raises(
        ResourceError, match=r"Out of memory in evaluation, with batches of 256 \(train\.eval_batch_size\)"
    ):
        train(*eater, "model.most=100", "model.when=evaluation", "train.on_oom=halve", quiet=True)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_parts_give_the_step_of_the_whole_batch(eater: tuple[str, ...], accumulation: int):
    marks = (f"train.grad_accumulation={accumulation}", "train.batch_size=60")  # parts of 15; the last batch has 59
    whole = train(*eater, *marks, quiet=True)
    parts = train(*eater, *marks, "model.most=16", "train.on_oom=halve", quiet=True)
    assert parts.summary["batch_parts"] == 4
    assert parts.summary["steps"] == whole.summary["steps"]
    for name, value in weights(whole.run_dir).items():
        torch.testing.assert_close(weights(parts.run_dir)[name], value, rtol=1e-4, atol=1e-6)
    records: list[dict[str, Any]] = [json.loads((run.run_dir / "metrics.jsonl").read_text()) for run in (whole, parts)]
    assert records[0]["train/loss"] == pytest.approx(records[1]["train/loss"], rel=1e-5)


def test_it_is_recorded_and_goes_on(eater: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    run_dir = train(*eater, "model.most=16", "train.on_oom=halve").run_dir
    decisions = json.loads((run_dir / "receipt.json").read_text())["decisions"]
    used = [each["used"] for each in decisions if each["setting"] == "train.batch_size"]
    assert [text.split(",")[0] for text in used] == ["computed in 2 parts of 32", "computed in 4 parts of 16"]
    assert "train.batch_size=64: computed in 4 parts of 16, because memory ran out" in capsys.readouterr().out
    assert store.load(run_dir / "checkpoints" / "last.pt")["progress"]["batch_parts"] == 4


def test_a_failed_attempt_leaves_no_trace(eater: tuple[str, ...]):
    """Failing before anything was computed, or late, after gradients, statistics and random numbers: the same bits."""
    marks = ("model.most=16", "train.on_oom=halve", "model.plain=false")
    early, late = (train(*eater, *marks, f"model.when={when}", quiet=True) for when in ("forward", "backward"))
    assert equal(weights(early.run_dir), weights(late.run_dir))


def test_halving_without_need_changes_no_bit(eater: tuple[str, ...]):
    runs = [
        train(*eater, "model.plain=false", "train.grad_accumulation=2", f"train.on_oom={mode}", quiet=True)
        for mode in ("stop", "halve")
    ]
    assert equal(*(weights(run.run_dir) for run in runs))


def test_one_sample_that_is_too_large_ends_the_run(eater: tuple[str, ...]):
    with pytest.raises(ResourceError, match="Out of memory in training"):
        train(*eater, "model.most=0", "train.on_oom=halve", quiet=True)


def test_an_optimizer_with_a_closure_is_refused(folder: Path):
    with pytest.raises(ConfigError, match="which computes the gradient itself"):
        train("model=simplenet", "optimizer=lbfgs", "train.on_oom=halve", quiet=True)
