"""Steps whose loss, gradient or weights are no finite numbers: left out, or undone by going back to earlier weights.

Invariant: what is decided depends on numbers alone, never on a clock, so that a resumed run decides alike. Looking at
every step waits for the device, which is why this is not done unasked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Guard:
    """Looks at the steps of a model.

    rolls_back: look at the weights after a step, else at the gradients before it (`scaled` ones are the scaler's to judge).
    return_to: what a bad step is answered with then, and the step it is of; see ptrun/state.py.
    """

    def __init__(self, model: nn.Module, *, rolls_back: bool, scaled: bool) -> None:
        self.rolls_back, self._scaled = rolls_back, scaled
        self._model, self._parameters = model, list(model.parameters())
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self.return_to: Mapping[str, Any] = {}
        self.return_step = -1

    def remember(self) -> None:
        """Note the buffers as they are: a forward pass with bad numbers spoils running statistics too."""
        if self.rolls_back:
            return
        if not self._buffers:
            self._buffers = [(each, each.clone()) for each in self._model.buffers()]
            return
        for buffer, kept in self._buffers:
            kept.copy_(buffer)

    def is_good(self, losses: Sequence[Tensor]) -> bool:
        """Whether these losses and the gradients (or, after the step, the weights) are finite numbers; waits for the device."""
        if self.rolls_back:
            values = list(learned(self._model).values())
        else:
            gradients = [] if self._scaled else [p.grad for p in self._parameters if p.grad is not None]
            values = [each._values() if each.is_sparse else each for each in gradients]
        return all_finite([*losses, *values])

    def forget_step(self) -> None:
        """Drop the gradients, and put the buffers back."""
        for parameter in self._parameters:
            parameter.grad = None
        with torch.no_grad():
            for buffer, kept in self._buffers:
                buffer.copy_(kept)


_RUNNING = ("running_mean", "running_var")


def learned(model: nn.Module) -> dict[str, Tensor]:
    """What training changes in a model, by name: parameters and running statistics. Other buffers may hold infinities, as masks do."""
    running = {name: each for name, each in model.named_buffers() if name.endswith(_RUNNING)}
    return {**dict(model.named_parameters()), **running}


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no number is NaN or infinite; waits for the device."""
    if not tensors:
        return True
    with torch.no_grad():
        norms = torch._foreach_norm(list(tensors))
        if bool(torch.isfinite(torch.stack([norm.float() for norm in norms])).all()):
            return True
        return all(bool(torch.isfinite(each).all()) for each in tensors)


def first_nonfinite(values: Mapping[str, Tensor]) -> str:
    """The name of the first tensor that holds NaN or infinity, "" when there is none."""
    named = {name: each for name, each in values.items() if each.is_floating_point()}
    if all_finite(list(named.values())):
        return ""
    return next(name for name, each in named.items() if not all_finite([each]))
