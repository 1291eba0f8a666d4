"""Hooks that are not given do nothing."""

from __future__ import annotations

import pytest
import torch

from ptrun.device.runtime import Runtime
from ptrun.engine.hooks import Hooks
from ptrun.engine.progress import EpochReport
from ptrun.engine.running_loss import RunningLoss


def test_by_default_nothing_stops_or_saves():
    hooks = Hooks()
    hooks.on_batch(1, 2, RunningLoss(Runtime(torch.device("cpu"))))
    hooks.on_epoch_end(EpochReport({}, is_best=True, is_last=False))
    assert not hooks.should_stop()
    assert not hooks.is_save_due(1)


def test_they_are_given_by_keyword():
    with pytest.raises(TypeError):
        Hooks(lambda done, total, losses: None)  # type: ignore[misc]
