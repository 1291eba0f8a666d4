"""What a checkpoint holds of a run, and how it is put back: plain containers and tensors by name.

Invariant: `restore` after `capture` gives a run that continues bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch

from ptrun import __version__
from ptrun.loop import Experiment, Progress
from ptrun.runtime import random_state, restore_random_state


def capture(x: Experiment, progress: Progress) -> dict[str, Any]:
    """State of every part that changes in training."""
    return {
        "model": x.model.state_dict(),
        "ema": x.ema.state_dict() if x.ema is not None else None,
        "optimizer": x.optimizer.state_dict(),
        "schedule": x.schedule.state_dict(),
        "scaler": x.runtime.scaler.state_dict() if x.runtime.scaler is not None else None,
        "progress": progress.to_dict(),
        "random": random_state(),
        "threads": torch.get_num_threads(),
        "versions": {"ptrun": __version__, "torch": str(torch.__version__)},
    }


def restore(x: Experiment, progress: Progress, state: Mapping[str, Any]) -> None:
    """Put a captured state back into freshly built parts."""
    x.model.load_state_dict(state["model"])
    if x.ema is not None and state["ema"] is not None:
        x.ema.load_state_dict(state["ema"])
    x.optimizer.load_state_dict(state["optimizer"])
    x.schedule.load_state_dict(state["schedule"])
    if x.runtime.scaler is not None and state["scaler"] is not None:
        x.runtime.scaler.load_state_dict(state["scaler"])
    for each in fields(progress):
        setattr(progress, each.name, state["progress"][each.name])
    restore_random_state(state["random"])


def evaluated_weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """The weights that were evaluated and that a later evaluation uses: the averaged ones when there are any."""
    if state.get("ema") is None:
        return dict(state["model"])
    return {key.removeprefix("module."): value for key, value in state["ema"].items() if key.startswith("module.")}
