"""A plugin that kills its process (SIGKILL) at KILL_AT="STEP PHASE": in the first PHASE after that many steps.

A scheduler of constant rate counts the steps and writes the count to the file KILL_NOTES. A torch hook reports forward
passes, and a Python audit hook reports renamed files. So no code of ptrun is replaced.
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
    """Build a constant schedule that counts the steps."""

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
