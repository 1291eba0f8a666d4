"""What a checkpoint holds of a run, and how it is restored: plain containers and tensors by name.

`restore` after `capture` gives a run that continues bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from ptrun.device.random_state import random_state, restore_random_state
from ptrun.engine.context import TrainContext
from ptrun.engine.progress import Progress
from ptrun.errors import CheckpointError
from ptrun.models.weights.stored import averaged_or_own
from ptrun.version import __version__

_WEIGHTS = ("model", "ema", "optimizer", "scaler")
_ROLLBACK = "return_to"  # the key in checkpoints since their first format


def capture(ctx: TrainContext, progress: Progress) -> dict[str, Any]:
    """The state of every part that changes in training; its tensors are those of the parts, not copies."""
    return {
        **_weights(ctx),
        "schedule": ctx.schedule.state_dict(),
        _ROLLBACK: _rollback_state(ctx, progress),
        "progress": progress.to_dict(),
        "interval": ctx.interval(),
        "random": random_state(),
        "device": ctx.runtime.kind(),
        "threads": torch.get_num_threads(),
        "versions": {"ptrun": __version__, "torch": str(torch.__version__)},
    }


def snapshot(ctx: TrainContext, progress: Progress) -> dict[str, Any]:
    """The state that `capture` gives, copied to the CPU, so that no later step changes it."""
    captured = capture(ctx, progress)
    random = captured.pop("random")  # is a copy already; to walk through its thousands of numbers takes time
    return {**copy_to_cpu(captured), "random": random}


def restore(ctx: TrainContext, progress: Progress, state: Mapping[str, Any]) -> None:
    """Put a captured state back into freshly built parts. Raises CheckpointError when the weights do not fit."""
    restore_weights(ctx, state)
    _restore_rollback_state(ctx, state)
    ctx.schedule.load_state_dict(state["schedule"])
    progress.load(state["progress"])
    ctx.interval = partial(state.get, "interval")  # of the last validation; absent in older checkpoints
    ctx.schedule.step(progress.scheduled_step)  # this run may be longer or shorter than the one that was saved
    restore_random_state(state["random"])


def restore_weights(ctx: TrainContext, state: Mapping[str, Any]) -> None:
    """Restore the weights and the optimizer's state, but not the place in the training. Raises CheckpointError."""
    hyperparameters = [
        {key: group[key] for key in group.keys() - {"params", "lr"}} for group in ctx.optimizer.param_groups
    ]
    load_weights(ctx.model, state["model"], "The checkpoint")
    if ctx.ema is not None and state["ema"] is not None:
        ctx.ema.load_state_dict(state["ema"])
    ctx.optimizer.load_state_dict(state["optimizer"])
    for group, settings in zip(ctx.optimizer.param_groups, hyperparameters, strict=True):
        group.update(settings)  # a setting that was changed for this run replaces the one in the checkpoint
    if ctx.runtime.scaler is not None and state["scaler"] is not None:
        ctx.runtime.scaler.load_state_dict(state["scaler"])


def load_weights(model: torch.nn.Module, weights: Mapping[str, Any], source: str) -> None:
    """Load weights into a model. Raises CheckpointError naming the first that do not fit, and `source`."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        detail = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise CheckpointError(
            f"{source}: its weights do not fit the model that its configuration describes: {detail}."
        ) from error


def evaluated_weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """The weights for evaluation: the averaged ones when there are any, else the model's own."""
    return averaged_or_own(state)


def mark_rollback_point(ctx: TrainContext, progress: Progress) -> None:
    """Make the current weights those that a non-finite step goes back to.

    Call it only at steps that neither a clock nor a signal decides on, or a resumed run would go back to other weights.
    """
    assert ctx.rollback is not None
    ctx.rollback.state, ctx.rollback.step = copy_to_cpu(_weights(ctx)), progress.step


def roll_back_weights(ctx: TrainContext) -> None:
    """Restore the weights of the last rollback point."""
    assert ctx.rollback is not None
    # From a copy: an optimizer keeps the tensors it is given and changes them.
    restore_weights(ctx, copy_to_cpu(ctx.rollback.state))


def copy_to_cpu(value: Any, copies: dict[tuple[Any, ...], torch.Tensor] | None = None) -> Any:
    """Copy nested containers, and their tensors to the CPU; tensors that share memory share their copy."""
    copies = {} if copies is None else copies
    if isinstance(value, torch.Tensor):
        key = (value.data_ptr(), value.dtype, value.shape, value.stride())
        if key not in copies:
            copies[key] = value.detach().to("cpu", copy=True)
        return copies[key]
    if isinstance(value, Mapping):
        return {key: copy_to_cpu(item, copies) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(copy_to_cpu(item, copies) for item in value)
    return value


def environment_differences(state: Mapping[str, Any], data: Mapping[str, str], device: str) -> list[str]:
    """What differs between here and where the state was saved, with what it means for the promise of equal bits.

    data: fingerprint of each split. device: the kind of device.
    """
    last_bits = "results may differ in the last bits."
    differences = []
    changed = [name for name, digest in data.items() if state["data"].get(name) != digest]
    if changed:
        differences.append(
            f"The data are not those the run began with ({', '.join(changed)} changed): it goes on with the new ones."
        )
    before, now = state["threads"], torch.get_num_threads()
    if before != now:
        differences.append(
            f"The run began with {before} CPU thread{'s' if before != 1 else ''}, now there "
            f"{'are' if now != 1 else 'is'} {now}: {last_bits} device.threads={before} keeps them equal."
        )
    if state.get("device", device) != device:
        differences.append(f"The run began on the device {state['device']}, this is {device}: {last_bits}")
    version, version_now = state["versions"]["torch"], str(torch.__version__)
    if version != version_now:
        differences.append(f"The run began with torch {version}, this is {version_now}: {last_bits}")
    return differences


def _weights(ctx: TrainContext) -> dict[str, Any]:
    """The weights and the optimizer's state: what a rollback restores."""
    return {
        "model": ctx.model.state_dict(),
        "ema": ctx.ema.state_dict() if ctx.ema is not None else None,
        "optimizer": ctx.optimizer.state_dict(),
        "scaler": ctx.runtime.scaler.state_dict() if ctx.runtime.scaler is not None else None,
    }


def _rollback_state(ctx: TrainContext, progress: Progress) -> dict[str, Any] | None:
    """What a non-finite step goes back to; None when nothing, or when it is the state of this very step."""
    if ctx.rollback is None or ctx.rollback.step == progress.step:
        return None
    return {**ctx.rollback.state, "step": ctx.rollback.step}


def _restore_rollback_state(ctx: TrainContext, state: Mapping[str, Any]) -> None:
    if ctx.rollback is None:
        return
    saved = state.get(_ROLLBACK) or {**state, "step": state["progress"]["step"]}
    ctx.rollback.state = copy_to_cpu({key: saved[key] for key in _WEIGHTS})
    ctx.rollback.step = saved["step"]
