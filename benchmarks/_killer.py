"""A plugin that ends its process by SIGKILL, KILL_AT="STEP PHASE": at the first instant of a phase after so many optimizer steps.

Invariant: a scheduler of constant rate, which the loop asks after each step, counts them into the file KILL_NOTES;
torch tells of the forward pass and Python of files being renamed, so that nothing of the program is replaced.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ptrun.registry import schedulers

_after, _, _phase = os.environ["KILL_AT"].partition(" ")
_notes = os.open(os.environ["KILL_NOTES"], os.O_WRONLY | os.O_CREAT, 0o600)
_steps = 0


def _instant(phase: str) -> None:
    if phase == _phase and _steps >= int(_after):
        os.kill(os.getpid(), signal.SIGKILL)


@schedulers.register
def killing(*, steps_per_epoch: int) -> Callable[[float], float]:
    """A constant learning rate."""

    def factor(epoch: float) -> float:
        global _steps
        _steps = round(epoch * steps_per_epoch)
        os.pwrite(_notes, str(_steps).encode(), 0)
        _instant("step")
        return 1.0

    return factor


def _forward(module: nn.Module, inputs: Any) -> None:
    _instant("forward")


def _file(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "os.rename":
        _instant("file")


register_module_forward_pre_hook(_forward)
sys.addaudithook(_file)
