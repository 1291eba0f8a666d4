"""Undoes a step that failed half-way, or one that was only tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ptrun.device.memory import release_memory
from ptrun.device.random_state import random_state, restore_random_state


@contextmanager
def undone(model: nn.Module) -> Iterator[None]:
    """Afterwards, buffers and random generators are as before: for a step that is only tried."""
    undo = Undo(model)
    try:
        yield
    finally:
        undo.restore_state()


class Undo:
    """Remembers what a step changes before its end: buffers (running statistics) and the random generators.

    The gradients are empty before a step.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model, self._random_state = model, random_state()
        self._buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]

    def restore_state(self) -> None:
        """Put buffers and random generators back; gradients stay as they are."""
        restore_random_state(self._random_state)
        with torch.no_grad():
            for buffer, copy in self._buffers:
                buffer.copy_(copy)

    def restore(self) -> None:
        """Put everything back, drop the gradients, and free the memory of the failed step."""
        self.restore_state()
        for parameter in self._model.parameters():
            parameter.grad = None
        release_memory()
