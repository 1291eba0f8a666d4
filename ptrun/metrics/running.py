"""Metrics of a validation from sums that grow batch by batch on the device, so that no prediction is kept.

Each equals the metric of the same name in classification.py or regression.py up to the order of additions; accuracy
equals it exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ptrun.device.capabilities import has_float64
from ptrun.metrics.predictions import require_shapes
from ptrun.spec import DataSpec, Task

_Totals = Mapping[str, list[float]]
_FORMULAS: dict[str, Callable[[_Totals, float], float]] = {
    "accuracy": lambda sums, count: sums["correct"][0] / count,
    "mse": lambda sums, count: _mean(sums["squares"]) / count,
    "mae": lambda sums, count: _mean(sums["absolutes"]) / count,
    "rmse": lambda sums, count: _mean([(square / count) ** 0.5 for square in sums["squares"]]),
    "scaled_mse": lambda sums, count: _mean(sums["scaled squares"]) / count,
    "scaled_mae": lambda sums, count: _mean(sums["scaled absolutes"]) / count,
}
NAMES = tuple(_FORMULAS)


class RunningMetrics:
    """The metrics of these names (among NAMES) over one pass through a split.

    The sums stay on the device. Reading a number from a GPU waits for everything it was given to do, so `values` reads
    all of them in one transfer at the end.
    """

    def __init__(self, names: tuple[str, ...], spec: DataSpec) -> None:
        self._names, self._spec, self._count = names, spec, 0
        self._totals: dict[str, Tensor] = {}
        self._std: Tensor | None = None

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch: raw outputs [batch, num_outputs], and targets as the loss sees them.

        Raises DataError on other shapes.
        """
        require_shapes(self._spec, outputs, targets)
        self._count += len(targets)
        if self._spec.task is Task.CLASSIFICATION:
            sums = {"correct": (outputs.argmax(1) == targets).sum()}
        else:
            sums = self._errors(outputs, targets)
        sums["broken"] = (~torch.isfinite(outputs)).flatten(1).any(1).sum()
        for name, value in sums.items():
            self._totals[name] = self._totals[name] + value if name in self._totals else value

    def values(self) -> tuple[dict[str, float], dict[str, str]]:
        """Return the values by name, and the reasons of those that have none: outputs that are not finite."""
        sums = self._read()
        num_broken = int(sums["broken"][0])
        if num_broken:
            reason = f"{num_broken} of {self._count} outputs are not finite numbers"
            return {}, dict.fromkeys(self._names, reason)
        return {name: _FORMULAS[name](sums, self._count) for name in self._names}, {}

    def _errors(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Batch sums of each target's squared and absolute errors, in original units and in standard deviations."""
        scaled = _wide(outputs) - _wide(targets)
        if self._std is None:
            self._std = torch.tensor(self._spec.target_std or (1.0,), dtype=scaled.dtype, device=scaled.device)
        errors = scaled * self._std
        sums = {"squares": errors.square(), "absolutes": errors.abs()}
        if any(name.startswith("scaled_") for name in self._names):
            sums |= {"scaled squares": scaled.square(), "scaled absolutes": scaled.abs()}
        return {name: value.sum(0) for name, value in sums.items()}

    def _read(self) -> dict[str, list[float]]:
        """All sums, by one transfer from the device."""
        numbers = iter(torch.cat([_wide(total).reshape(-1) for total in self._totals.values()]).tolist())
        return {name: [next(numbers) for _ in range(total.numel())] for name, total in self._totals.items()}


def _wide(numbers: Tensor) -> Tensor:
    """In float64, or in float32 on Apple GPUs, which have no float64."""
    return numbers.double() if has_float64(numbers.device) else numbers.float()


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
