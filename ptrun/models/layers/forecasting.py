"""Parts of forecasting models: the input columns that are forecast, and normalization of each window.

Forecasts are [batch, horizon * columns]: all columns of the first time step, then all of the second, and so on, in the
order of the targets.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptrun.errors import ConfigError, join_words
from ptrun.models.layers.autoregression import forecast_columns
from ptrun.models.layers.layouts import require_layout
from ptrun.spec import DataSpec, Layout

VARIANCE_EPS = 1e-5  # added to the variance, so that a constant window is not divided by zero


def forecast_channels(spec: DataSpec, model: str) -> list[int]:
    """Return the input column of each target. Raises ConfigError unless the task is a forecast of input columns."""
    require_layout(spec, model, Layout.SEQUENCE)
    if not spec.horizon:
        raise ConfigError(
            f"model={model} forecasts the time steps after a sequence, but the data ask for {spec.task} "
            "of the whole sequence. Choose a model that does that (`ptrun list models` shows which), or dataset=series."
        )
    columns = forecast_columns(spec)[: spec.num_outputs // spec.horizon]
    unknown = [name for name, column in zip(spec.target_names, columns, strict=False) if column is None]
    if unknown or not spec.target_names:
        raise ConfigError(
            f"model={model} forecasts columns that it also reads, but {join_words(unknown, 8) or 'no target'} is not "
            f"among the inputs ({join_words(spec.feature_names, 8)}). "
            "Add it to the inputs, or choose another model (`ptrun list models` shows which)."
        )
    return [column for column in columns if column is not None]


class Channels(nn.Module):
    """Selects the columns to forecast from the inputs, and joins their forecasts."""

    columns: Tensor

    def __init__(self, columns: list[int]) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns), persistent=False)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, columns, time]."""
        return sequences.transpose(1, 2).index_select(1, self.columns)

    def join(self, forecasts: Tensor) -> Tensor:
        """Map [batch, columns, horizon] to [batch, horizon * columns]."""
        return forecasts.transpose(1, 2).flatten(1)


class InstanceNorm(nn.Module):
    """Standardizes the columns to forecast within each window, and undoes that in the model's forecast.

    This is RevIN (Kim et al., ICLR 2022) without its learned scale and shift, as the recipes of PatchTST use it. It
    suits series whose level drifts: their windows look alike before and after the drift.
    """

    columns: Tensor

    def __init__(self, model: nn.Module, columns: list[int]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("columns", torch.tensor(columns), persistent=False)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, horizon * columns]."""
        series = sequences.index_select(2, self.columns)
        mean = series.mean(dim=1, keepdim=True)
        std = (series.var(dim=1, keepdim=True, correction=0) + VARIANCE_EPS).sqrt()
        forecasts: Tensor = self.model(sequences.index_copy(2, self.columns, (series - mean) / std))
        return (forecasts.reshape(sequences.shape[0], -1, len(self.columns)) * std + mean).flatten(1)
