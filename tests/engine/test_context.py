"""What is evaluated: the averaged weights when there are any."""

from __future__ import annotations

from pathlib import Path

from support import build_run


def test_the_evaluated_model(folder: Path):
    plain = build_run("train.epochs=1").ctx
    assert plain.evaluated_model is plain.model
    averaged = build_run("train.epochs=1", "train.ema_decay=0.9").ctx
    assert averaged.ema is not None
    assert averaged.evaluated_model is averaged.ema.module
    assert averaged.evaluated_model is not averaged.model
