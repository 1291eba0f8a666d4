"""The captured state is whole, is a copy, and says what differs when it is restored elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ptrun.build import run
from ptrun.checkpoint import state
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.engine.context import TrainContext
from ptrun.engine.hooks import Hooks
from ptrun.engine.loop import fit
from ptrun.engine.progress import Progress
from ptrun.errors import CheckpointError
from ptrun.version import __version__

SMALL = ("model=simplenet", "train.batch_size=64", "device.threads=1", "train.ema_decay=0.9")


def context(*overrides: str) -> TrainContext:
    return run.build(auto.resolve_auto(load.load_config(Composer(), [*SMALL, *overrides]).config)[0]).ctx


def train_to(ctx: TrainContext, progress: Progress, step: int) -> None:
    fit(ctx, progress, Hooks(should_stop=lambda: progress.step >= step))


def tensors(value: Any) -> list[Tensor]:
    """All tensors in nested containers."""
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for item in items for tensor in tensors(item)]


def test_tied_weights_are_copied_once():
    weight = torch.randn(50, 50)
    copied = state.copy_to_cpu({"a": weight, "b": [weight, {"c": weight.t()}], "d": (1, "x", None)})
    assert copied["a"] is copied["b"][0]
    assert copied["a"].data_ptr() != weight.data_ptr()
    assert torch.equal(copied["b"][1]["c"], weight.t())
    assert copied["d"] == (1, "x", None)


def test_later_steps_do_not_change_a_snapshot():
    ctx, progress = context(), Progress()
    snapshot = state.snapshot(ctx, progress)
    before = [tensor.clone() for tensor in tensors(snapshot)]
    train_to(ctx, progress, 2)
    torch.randn(3)
    assert all(torch.equal(a, b) for a, b in zip(tensors(snapshot), before, strict=True))
    captured = state.capture(ctx, progress)
    assert not torch.equal(tensors(snapshot["model"])[0], tensors(captured["model"])[0])
    assert not torch.equal(snapshot["random"]["torch"], captured["random"]["torch"])


@pytest.mark.parametrize("policy", ["stop", "rollback"])
def test_a_restored_state_is_the_captured_one(policy: str):
    nonfinite = f"train.on_nonfinite={policy}"
    ctx, progress = context(nonfinite), Progress()
    if policy == "rollback":
        state.mark_rollback_point(ctx, progress)
    train_to(ctx, progress, 3)
    captured = state.snapshot(ctx, progress)
    fresh, fresh_progress = context(nonfinite, "seed=9"), Progress()
    state.restore(fresh, fresh_progress, captured)
    restored = state.capture(fresh, fresh_progress)
    assert fresh_progress == progress
    assert restored.keys() == captured.keys()
    assert all(torch.equal(a, b) for a, b in zip(tensors(restored), tensors(captured), strict=True))
    assert restored["schedule"] == captured["schedule"]
    assert (captured["return_to"] is None) == (policy == "stop")


def test_rolling_back_restores_the_marked_weights_each_time():
    ctx, progress = context("train.on_nonfinite=rollback"), Progress()
    train_to(ctx, progress, 1)
    state.mark_rollback_point(ctx, progress)
    marked = state.snapshot(ctx, progress)
    assert marked["return_to"] is None  # it is this very step
    for step in (2, 3):
        train_to(ctx, progress, step)
        state.roll_back_weights(ctx)
        for part in ("model", "ema", "optimizer"):
            now = tensors(state.capture(ctx, progress)[part])
            assert all(torch.equal(a, b) for a, b in zip(now, tensors(marked[part]), strict=True)), part


def test_a_checkpoint_without_a_rollback_point_is_one_itself():
    """As those of runs that did not roll back, and those of earlier versions."""
    ctx, progress = context(), Progress()
    train_to(ctx, progress, 2)
    saved = state.snapshot(ctx, progress)
    del saved["return_to"]
    saved["progress"].pop("rollbacks")
    fresh = context("train.on_nonfinite=rollback")
    state.restore(fresh, Progress(), saved)
    assert fresh.rollback is not None
    assert fresh.rollback.step == 2
    assert torch.equal(tensors(fresh.rollback.state["model"])[0], tensors(saved["model"])[0])


def test_a_changed_setting_of_the_optimizer_counts():
    saved = state.snapshot(context("optimizer.weight_decay=0.1"), Progress())
    fresh = context("optimizer.weight_decay=0.2")
    state.restore(fresh, Progress(), saved)
    assert {group["weight_decay"] for group in fresh.optimizer.param_groups} <= {0.2, 0.0}
    assert any(group["weight_decay"] == 0.2 for group in fresh.optimizer.param_groups)


def test_weights_of_another_model_are_refused():
    with pytest.raises(CheckpointError, match=r"^FILE: its weights do not fit the model .*size mismatch"):
        state.load_weights(torch.nn.Linear(2, 3), torch.nn.Linear(3, 3).state_dict(), "FILE")


def test_averaged_weights_are_the_ones_to_evaluate():
    weight, average = torch.zeros(2), torch.ones(2)
    assert state.evaluated_weights({"model": {"w": weight}, "ema": None}) == {"w": weight}
    saved = {"model": {"w": weight}, "ema": {"module.w": average, "n_averaged": torch.tensor(3)}}
    assert state.evaluated_weights(saved) == {"w": average}


def test_differences_that_touch_equal_bits_are_named():
    saved = {
        "data": {"train": "a", "val": "b"}, "threads": torch.get_num_threads(), "device": "cpu",
        "versions": {"torch": str(torch.__version__), "ptrun": __version__},
    }  # fmt: skip
    assert state.environment_differences(saved, {"train": "a", "val": "b"}, "cpu") == []
    older = {key: value for key, value in saved.items() if key != "device"}
    assert state.environment_differences(older, {"train": "a"}, "cuda") == []  # not known then
    threads = torch.get_num_threads() + 1
    other = {**saved, "threads": threads, "versions": {"torch": "1.0"}}
    found = state.environment_differences(other, {"train": "a", "val": "c"}, "cuda")
    words = ("(val changed)", f"device.threads={threads}", "device cpu, this is cuda", "torch 1.0")
    assert [word in text for word, text in zip(words, found, strict=True)] == [True] * 4
