"""The parts of a run are built alike each time, and only the model draws from the seeded random state."""

from __future__ import annotations

import pytest
import torch
from support import run_config

from ptrun.build.model import build_model
from ptrun.build.run import build

OVERRIDES = ("model=convnet", "transform=augment", "train.ema_decay=0.9", "device.compile=auto")


def test_only_the_model_draws_random_numbers():
    run = build(run_config(*OVERRIDES, "seed=5"))
    after_build = torch.get_rng_state()
    build_model(run.config, run.prepared.spec)
    assert torch.equal(after_build, torch.get_rng_state())


def test_every_auto_is_resolved_and_reported():
    run = build(run_config(*OVERRIDES))
    assert run.config.loss.name == "cross_entropy"
    assert run.config.train.monitor == "val/loss"
    settings = {setting for setting, _, _ in run.decisions}
    assert {"loss", "metrics", "train.monitor", "device.compile"} <= settings
    assert set(run.splits) == {"train", "val", "test"}


def test_the_context_holds_the_settings_of_the_loop():
    run = build(
        run_config(
            "model=simplenet",
            "train.max_steps=7",
            "train.grad_accumulation=2",
            "train.min_delta=0.1",
            "train.monitor=val/accuracy",
        )
    )
    ctx = run.ctx
    assert (ctx.max_steps, ctx.grad_accumulation, ctx.min_delta) == (7, 2, 0.1)
    assert ctx.higher_is_better
    assert ctx.ema is None


def test_what_the_losses_include_is_among_the_notes():
    notes = build(run_config("model=simplenet", "loss=cross_entropy", "loss.label_smoothing=0.3")).notes
    assert any("label smoothing (loss.label_smoothing)" in note for note in notes)
    assert not any("label smoothing" in note for note in build(run_config("model=simplenet")).notes)


@pytest.mark.parametrize(
    ("length", "steps"), [("train.epochs=2", 10), ("train.max_steps=13", 13)], ids=["epochs", "max_steps"]
)
def test_an_average_longer_than_the_training_is_among_the_notes(length: str, steps: int):
    """diabetes has 309 training samples: 10 batches of 32; two batches make a step."""
    overrides = ("dataset=diabetes", "model=simplenet", "train.grad_accumulation=2", length)
    overrides += ("train.ema_decay=0.999", "train.ema_warmup=false")
    run = build(run_config(*overrides))
    (note,) = [note for note in run.notes if "ema_decay" in note]
    assert f"more steps than the {steps} of this training" in note
