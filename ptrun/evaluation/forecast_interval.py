"""How far a forecast may be wrong, by the errors of a validation (split conformal prediction; Lei et al., 2018).

For each number of a forecast, the width of a level is the quantile of the absolute errors at that level. This is a
measure and no guarantee: the weights were chosen on the same windows, which overlap, and what comes may differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MAX_NUMBERS = 20_000_000  # errors that are kept, 80 MB: of more windows, the first ones


class ForecastErrors:
    """The absolute errors of all forecasts of a validation, in standardized units."""

    def __init__(self) -> None:
        self._batches: list[Tensor] = []
        self._count = 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch [n, num_outputs]."""
        if self._count < MAX_NUMBERS:
            self._batches.append((outputs.float() - targets).abs().cpu())
            self._count += outputs.numel()

    @cached_property
    def interval(self) -> dict[str, Any] | None:
        """levels, widths: float32 [levels, num_outputs], windows: how many. None for too few windows for any level."""
        if not self._batches:
            return None
        errors = torch.cat(self._batches).sort(0).values
        self._batches = []
        count = len(errors)
        ranks = {level: math.ceil((count + 1) * level) for level in LEVELS}
        levels = [level for level, rank in ranks.items() if rank <= count]
        if not levels:
            return None
        return {"levels": levels, "widths": errors[[ranks[level] - 1 for level in levels]], "windows": count}


def width_of(interval: Mapping[str, Any], level: float) -> Tensor | None:
    """How far on either side of a forecast its interval goes, [num_outputs]; None for a level that is not there."""
    if level not in interval["levels"]:
        return None
    width: Tensor = interval["widths"][interval["levels"].index(level)]
    return width
