"""What a checkpoint holds of a run, and how it is put back: plain containers and tensors by name.

Invariant: `restore` after `capture` gives a run that continues bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch

from ptrun.device.random_state import random_state, restore_random_state
from ptrun.engine.context import TrainContext
from ptrun.engine.progress import Progress
from ptrun.errors import CheckpointError
from ptrun.version import __version__


def capture(ctx: TrainContext, progress: Progress) -> dict[str, Any]:
    """State of every part that changes in training."""
    return {
        **_weights(ctx),
        "schedule": ctx.schedule.state_dict(),
        "return_to": _other_return_point(ctx, progress),
        "progress": progress.to_dict(),
        "random": random_state(),
        "device": ctx.runtime.kind(),
        "threads": torch.get_num_threads(),
        "versions": {"ptrun": __version__, "torch": str(torch.__version__)},
    }


def snapshot(ctx: TrainContext, progress: Progress) -> dict[str, Any]:
    """What `capture` gives, as copies that no later step changes, on the CPU."""
    captured = capture(ctx, progress)
    random = captured.pop("random")  # is a copy already, of more than a thousand numbers
    return {**copy_to_cpu(captured), "random": random}


def _weights(ctx: TrainContext) -> dict[str, Any]:
    """The weights and what the optimizer knows of them: what going back puts back."""
    return {
        "model": ctx.model.state_dict(),
        "ema": ctx.ema.state_dict() if ctx.ema is not None else None,
        "optimizer": ctx.optimizer.state_dict(),
        "scaler": ctx.runtime.scaler.state_dict() if ctx.runtime.scaler is not None else None,
    }


def mark_rollback_point(ctx: TrainContext, progress: Progress) -> None:
    """A bad step later on is answered with the weights of now. To be called at steps that no clock and no signal decides on."""
    assert ctx.rollback is not None
    ctx.rollback.state, ctx.rollback.step = copy_to_cpu(_weights(ctx)), progress.step


def roll_back_weights(ctx: TrainContext) -> None:
    """Put the weights of the last return point back."""
    assert ctx.rollback is not None
    restore_weights(ctx, copy_to_cpu(ctx.rollback.state))  # a copy: an optimizer goes on with the tensors it is given


def _other_return_point(ctx: TrainContext, progress: Progress) -> dict[str, Any] | None:
    """What is returned to after a bad step, if that is not the state of this very step."""
    if ctx.rollback is None or ctx.rollback.step == progress.step:
        return None
    return {**ctx.rollback.state, "step": ctx.rollback.step}


def _restore_return_point(ctx: TrainContext, state: Mapping[str, Any]) -> None:
    if ctx.rollback is None:
        return
    found = state.get("return_to") or {**state, "step": state["progress"]["step"]}  # an older checkpoint has none
    ctx.rollback.state = copy_to_cpu({key: found[key] for key in ("model", "ema", "optimizer", "scaler")})
    ctx.rollback.step = found["step"]


def copy_to_cpu(value: Any, copies: dict[tuple[Any, ...], torch.Tensor] | None = None) -> Any:
    """A copy of nested containers whose tensors are on the CPU and no one else's; tied weights stay one."""
    copies = {} if copies is None else copies
    if isinstance(value, torch.Tensor):
        key = (value.data_ptr(), value.dtype, value.shape, value.stride())
        if key not in copies:
            copies[key] = value.detach().to("cpu", copy=True)
        return copies[key]
    if isinstance(value, Mapping):
        return {key: copy_to_cpu(each, copies) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(copy_to_cpu(each, copies) for each in value)
    return value


def restore(ctx: TrainContext, progress: Progress, state: Mapping[str, Any]) -> None:
    """Put a captured state back into freshly built parts."""
    restore_weights(ctx, state)
    _restore_return_point(ctx, state)
    ctx.schedule.load_state_dict(state["schedule"])
    for each in fields(progress):
        if each.name in state["progress"]:  # an older checkpoint lacks what was not counted then
            setattr(progress, each.name, state["progress"][each.name])
    ctx.schedule.step(progress.step)  # of this run's length, which may be another one
    restore_random_state(state["random"])


def restore_weights(ctx: TrainContext, state: Mapping[str, Any]) -> None:
    """Put back the weights and what the optimizer knows of them, but not the place in the training. Raises CheckpointError."""
    hyperparameters = [
        {key: group[key] for key in group.keys() - {"params", "lr"}} for group in ctx.optimizer.param_groups
    ]
    load_weights(ctx.model, state["model"], "The checkpoint")
    if ctx.ema is not None and state["ema"] is not None:
        ctx.ema.load_state_dict(state["ema"])
    ctx.optimizer.load_state_dict(state["optimizer"])
    for group, own in zip(ctx.optimizer.param_groups, hyperparameters, strict=True):
        group.update(own)  # a changed setting of the optimizer counts, not the one in the checkpoint
    if ctx.runtime.scaler is not None and state["scaler"] is not None:
        ctx.runtime.scaler.load_state_dict(state["scaler"])


def load_weights(model: torch.nn.Module, weights: Mapping[str, Any], source: str) -> None:
    """Put weights into a model. Raises CheckpointError naming the first that do not fit, and `source`."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        detail = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise CheckpointError(
            f"{source}: its weights do not fit the model that its configuration describes: {detail}."
        ) from error


def environment_differences(state: Mapping[str, Any], data: Mapping[str, str], device: str) -> list[str]:
    """What is different here from where the state was saved, and what that means for the promise of equal bits."""
    found = []
    changed = [name for name, digest in data.items() if state["data"].get(name) != digest]
    if changed:
        found.append(
            f"The data are not those the run began with ({', '.join(changed)} changed): it goes on with the new ones."
        )
    threads, now = state["threads"], torch.get_num_threads()
    if threads != now:
        found.append(
            f"The run began with {threads} CPU thread{'s' if threads != 1 else ''}, now there {'are' if now != 1 else 'is'} {now}: "
            f"results may differ in the last bits. device.threads={threads} keeps them equal."
        )
    if state.get("device", device) != device:
        found.append(
            f"The run began on the device {state['device']}, this is {device}: results may differ in the last bits."
        )
    before, version = state["versions"]["torch"], str(torch.__version__)
    if before != version:
        found.append(f"The run began with torch {before}, this is {version}: results may differ in the last bits.")
    return found


def evaluated_weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """The weights that were evaluated and that a later evaluation uses: the averaged ones when there are any."""
    if state.get("ema") is None:
        return dict(state["model"])
    return {key.removeprefix("module."): value for key, value in state["ema"].items() if key.startswith("module.")}
