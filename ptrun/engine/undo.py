"""Undoes a step that failed half-way."""

from __future__ import annotations

import torch
from torch import nn

from ptrun.device.random_state import random_state, restore_random_state


class Undo:
    """What a step changes before its end: buffers (running statistics) and random generators; gradients are empty before it."""

    def __init__(self, model: nn.Module) -> None:
        self._model, self._random = model, random_state()
        self._buffers = [(each, each.clone()) for each in model.buffers()]

    def restore(self) -> None:
        """Put everything back, and give the device the memory of the failed step back."""
        restore_random_state(self._random)
        with torch.no_grad():
            for buffer, kept in self._buffers:
                buffer.copy_(kept)
        for parameter in self._model.parameters():
            parameter.grad = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
