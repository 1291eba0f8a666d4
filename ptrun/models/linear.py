"""DLinear and NLinear: a linear map from the past of a column to its forecast.

Each column is forecast from its own past alone. Calendar columns and other inputs are not used.
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


class ColumnwiseLinear(nn.Module):
    """A linear layer over time for each column, with its own weights, initialized like `nn.Linear`."""

    def __init__(self, num_columns: int, num_steps: int, horizon: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(num_steps)
        self.weight = nn.Parameter(torch.empty(num_columns, num_steps, horizon).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_columns, horizon).uniform_(-bound, bound))

    def forward(self, series: Tensor) -> Tensor:
        """Map [batch, columns, time] to [batch, columns, horizon]."""
        by_column = torch.baddbmm(self.bias.unsqueeze(1), series.transpose(0, 1), self.weight)
        return by_column.transpose(0, 1)


def time_linear(num_columns: int, num_steps: int, horizon: int, individual: bool) -> nn.Module:
    """Return a linear layer over time: one for all columns, or (`individual`) one for each."""
    return ColumnwiseLinear(num_columns, num_steps, horizon) if individual else nn.Linear(num_steps, horizon)


class DLinear(nn.Module):
    """The sum of a linear map of the trend and one of the remainder (Zeng et al. 2023, arXiv:2205.13504, section 4).

    The trend is a moving average over `kernel_size` time steps; the first and last value are repeated beyond the ends.
    """

    def __init__(self, columns: list[int], num_steps: int, horizon: int, kernel_size: int, individual: bool) -> None:
        super().__init__()
        self.channels = Channels(columns)
        self.kernel_size = kernel_size
        self.trend = time_linear(len(columns), num_steps, horizon, individual)
        self.remainder = time_linear(len(columns), num_steps, horizon, individual)

    def moving_average(self, series: Tensor) -> Tensor:
        """Return the moving average of [batch, columns, time], in the same shape."""
        padding = self.kernel_size // 2
        return F.avg_pool1d(F.pad(series, (padding, padding), mode="replicate"), self.kernel_size, stride=1)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, horizon * columns]."""
        series = self.channels(sequences)
        trend = self.moving_average(series)
        return self.channels.join(self.trend(trend) + self.remainder(series - trend))


class NLinear(nn.Module):
    """A linear map of the window minus its last value, which is added again (Zeng et al. 2023, section 4)."""

    def __init__(self, columns: list[int], num_steps: int, horizon: int, individual: bool) -> None:
        super().__init__()
        self.channels = Channels(columns)
        self.linear = time_linear(len(columns), num_steps, horizon, individual)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, horizon * columns]."""
        series = self.channels(sequences)
        last = series[:, :, -1:]
        return self.channels.join(self.linear(series - last) + last)


@models.register
def dlinear(spec: DataSpec, *, kernel_size: int = 25, individual: bool = False) -> nn.Module:
    """DLinear for forecasts. Raises ConfigError for other data and for an even `kernel_size`."""
    columns = forecast_channels(spec, "dlinear")
    if kernel_size % 2 == 0:
        raise ConfigError(
            f"model.kernel_size is {kernel_size}; it has to be odd, so that the average has a middle. "
            f"Use {kernel_size - 1} or {kernel_size + 1}."
        )
    return DLinear(columns, spec.input_shape[0], spec.horizon, kernel_size, individual)


@models.register
def nlinear(spec: DataSpec, *, individual: bool = False) -> nn.Module:
    """NLinear for forecasts. Raises ConfigError for other data."""
    columns = forecast_channels(spec, "nlinear")
    return NLinear(columns, spec.input_shape[0], spec.horizon, individual)
