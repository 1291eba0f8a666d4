"""A plugin that ends the process after the first optimizer step, so that its wall time is the time to that step.

It is a scheduler, because the loop calls that after each step for the next learning rate.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ptrun.registry import schedulers


@schedulers.register
def ending() -> Callable[[float], float]:
    """Build a constant schedule that ends the process when it is called for a time after the start."""

    def factor(epoch: float) -> float:
        if epoch > 0:
            os._exit(0)
        return 1.0

    return factor
