"""DLinear and NLinear: one linear map from the steps of a window to the steps of its forecast.

Invariant: a column is forecast from its own past alone; calendar columns and other inputs are not read.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.models.layers.forecasting import Channels, forecast_channels
from ptrun.registry import models
from ptrun.spec import DataSpec


class StepMap(nn.Module):
    """An affine map over time for each column, [.., columns, steps] to [.., columns, horizon]; `nn.Linear` begun alike for each."""

    def __init__(self, num_columns: int, num_steps: int, horizon: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(num_steps)
        self.weight = nn.Parameter(torch.empty(num_columns, num_steps, horizon).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_columns, horizon).uniform_(-bound, bound))

    def forward(self, series: Tensor) -> Tensor:
        """Map [batch, columns, steps] to [batch, columns, horizon]."""
        by_column = torch.baddbmm(self.bias.unsqueeze(1), series.transpose(0, 1), self.weight)
        return by_column.transpose(0, 1)


def step_map(num_columns: int, num_steps: int, horizon: int, individual: bool) -> nn.Module:
    """Return one linear map for all columns, or one for each."""
    return StepMap(num_columns, num_steps, horizon) if individual else nn.Linear(num_steps, horizon)


class DLinear(nn.Module):
    """Trend and remainder each through a linear map, added (Zeng et al. 2023, arXiv:2205.13504, section 4).

    The trend is a moving average of `kernel_size` steps, the first and last value repeated beyond the ends.
    """

    def __init__(self, columns: list[int], num_steps: int, horizon: int, kernel_size: int, individual: bool) -> None:
        super().__init__()
        self.channels = Channels(columns)
        self.kernel_size = kernel_size
        self.trend = step_map(len(columns), num_steps, horizon, individual)
        self.remainder = step_map(len(columns), num_steps, horizon, individual)

    def average(self, series: Tensor) -> Tensor:
        """Return the moving average of [batch, columns, steps], in the same shape."""
        reach = self.kernel_size // 2
        return F.avg_pool1d(F.pad(series, (reach, reach), mode="replicate"), self.kernel_size, stride=1)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, steps, features] to [batch, horizon * columns]."""
        series = self.channels(sequences)
        trend = self.average(series)
        return self.channels.join(self.trend(trend) + self.remainder(series - trend))


class NLinear(nn.Module):
    """A linear map of the window less its last value, which is added again (Zeng et al. 2023, section 4)."""

    def __init__(self, columns: list[int], num_steps: int, horizon: int, individual: bool) -> None:
        super().__init__()
        self.channels = Channels(columns)
        self.linear = step_map(len(columns), num_steps, horizon, individual)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, steps, features] to [batch, horizon * columns]."""
        series = self.channels(sequences)
        last = series[:, :, -1:]
        return self.channels.join(self.linear(series - last) + last)


@models.register
def dlinear(spec: DataSpec, *, kernel_size: int = 25, individual: bool = False) -> nn.Module:
    """DLinear for forecasts. Raises ConfigError on other data, and for an even kernel, which has no middle."""
    columns = forecast_channels(spec, "dlinear")
    if kernel_size % 2 == 0:
        raise ConfigError(
            f"model.kernel_size is {kernel_size}; it has to be odd, so that the average has a middle. "
            f"Use {kernel_size - 1} or {kernel_size + 1}."
        )
    return DLinear(columns, spec.input_shape[0], spec.horizon, kernel_size, individual)


@models.register
def nlinear(spec: DataSpec, *, individual: bool = False) -> nn.Module:
    """NLinear for forecasts. Raises ConfigError on other data."""
    columns = forecast_channels(spec, "nlinear")
    return NLinear(columns, spec.input_shape[0], spec.horizon, individual)
