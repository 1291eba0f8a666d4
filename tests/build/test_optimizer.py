"""Optimizer and schedule of a run, and the number of epochs."""

from __future__ import annotations

import pytest
from support import run_config
from torch import nn

from ptrun import catalog
from ptrun.build.optimizer import build_optimizer, build_schedule, count_epochs
from ptrun.build.run import build_runtime

assert catalog.MODULES  # importing it fills the registries


@pytest.mark.parametrize(("max_steps", "epochs"), [("null", 7), ("1", 1), ("10", 1), ("11", 2)])
def test_epochs_are_counted(max_steps: str, epochs: int):
    config = run_config("model=simplenet", "train.epochs=7", f"train.max_steps={max_steps}")
    assert count_epochs(config, steps_per_epoch=10) == epochs


@pytest.mark.parametrize("fused", [True, False])
def test_fused_kernels_on_request(fused: bool):
    config = run_config("model=simplenet", "optimizer=adamw", f"device.fused={str(fused).lower()}", "device=cpu")
    optimizer = build_optimizer(config, nn.Linear(2, 2), build_runtime(config))
    assert all(bool(group.get("fused")) == fused for group in optimizer.param_groups)


def test_the_schedule_is_set_for_the_first_step():
    settings = ("optimizer=sgd", "optimizer.lr=1", "scheduler.warmup_epochs=1", "train.epochs=20", "device=cpu")
    config = run_config("model=simplenet", *settings)
    optimizer = build_optimizer(config, nn.Linear(2, 2), build_runtime(config))
    schedule, epochs = build_schedule(config, optimizer, num_batches=4)
    assert epochs == config.train.epochs
    first = optimizer.param_groups[0]["lr"]
    schedule.step(4)
    assert first < optimizer.param_groups[0]["lr"] == pytest.approx(1, rel=0.05)
