"""The function that ends an optimizer step: clip the gradients, then update the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from ptrun.optim.fused_step import fused_step

Step = Callable[[], object]  # returns False when the step was left out
Clip = Callable[[], None]


def make_step(optimizer: Optimizer, clip: Clip | None, scaler: torch.amp.GradScaler | None) -> Step:
    """Return a function that clips the gradients and takes one optimizer step. The caller clears the gradients.

    With a scaler, the function returns whether the step was taken: gradients that overflowed fp16 are left out.
    Make a new one for each epoch, and after the optimizer's state was loaded: it keeps lists of parameters and state.
    """
    if scaler is not None:
        return _scaled_step(optimizer, clip, scaler)
    if clip is not None:
        return _clipped_step(clip, fused_step(optimizer))
    return fused_step(optimizer)


def _clipped_step(clip: Clip, step: Step) -> Step:
    def take_step() -> None:
        clip()
        step()

    return take_step


def _scaled_step(optimizer: Optimizer, clip: Clip | None, scaler: torch.amp.GradScaler) -> Step:
    """A step on scaled fp16 gradients, which the scaler leaves out when one of them has overflowed.

    It then lowers its scale, and never otherwise. Reading the scale waits for the device.
    """
    scale = scaler.get_scale()

    def take_step() -> bool:
        nonlocal scale
        if clip is not None:
            scaler.unscale_(optimizer)  # the bound is on the true gradients
            clip()
        scaler.step(optimizer)
        scaler.update()
        before, scale = scale, scaler.get_scale()
        return scale >= before

    return take_step


def clipper(parameters: Iterable[nn.Parameter], clip_norm: float | None, clip_value: float | None) -> Clip | None:
    """Return a function that clips the gradients in place, or None when nothing is clipped."""
    if clip_norm is None and clip_value is None:
        return None
    parameters = list(parameters)

    def clip() -> None:
        if clip_value is not None:
            nn.utils.clip_grad_value_(parameters, clip_value)
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, clip_norm)

    return clip
