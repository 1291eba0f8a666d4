"""One optimizer step: clip, scale, step, clear the gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn


def scaled_step(
    scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer, clip: Callable[[], None] | None
) -> None:
    if clip is not None:
        scaler.unscale_(optimizer)
        clip()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)


def clipped_step(clip: Callable[[], None], step: Callable[[], None]) -> None:
    clip()
    step()


def clipper(
    parameters: Iterable[nn.Parameter], clip_norm: float | None, clip_value: float | None
) -> Callable[[], None] | None:
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
