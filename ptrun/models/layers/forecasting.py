"""What forecasting models share: the input columns that they continue, and a window's own level and spread.

Invariant: a forecast leaves as [batch, horizon * columns], step after step, in the order of the targets.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptrun.errors import ConfigError, join_words
from ptrun.models.layers.autoregression import forecast_columns
from ptrun.models.layers.layouts import require_layout
from ptrun.spec import DataSpec, Layout

SMALLEST_VARIANCE = 1e-5  # added, so that a window of one value has a spread too


def forecast_channels(spec: DataSpec, model: str) -> list[int]:
    """Return the input column of each target. Raises ConfigError when the data ask for anything but a forecast of input columns."""
    require_layout(spec, model, Layout.SEQUENCE)
    if not spec.horizon:
        raise ConfigError(
            f"model={model} forecasts the steps that follow a sequence, but the data ask for {spec.task} of the whole sequence. "
            "Choose a model that does that (`ptrun list models` shows which), or dataset=series."
        )
    columns = forecast_columns(spec)[: spec.num_outputs // spec.horizon]
    unknown = [name for name, column in zip(spec.target_names, columns, strict=False) if column is None]
    if unknown or not spec.target_names:
        raise ConfigError(
            f"model={model} forecasts columns that it also reads, but {join_words(unknown, 8) or 'no target'} is not among the inputs "
            f"({join_words(spec.feature_names, 8)}). Add it to the inputs, or choose another model (`ptrun list models` shows which)."
        )
    return [column for column in columns if column is not None]


class Channels(nn.Module):
    """Each forecast column as a series of its own, and the forecasts of all of them as one row."""

    columns: Tensor

    def __init__(self, columns: list[int]) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns), persistent=False)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, steps, features] to [batch, columns, steps]."""
        return sequences.transpose(1, 2).index_select(1, self.columns)

    def join(self, forecasts: Tensor) -> Tensor:
        """Map [batch, columns, horizon] to [batch, horizon * columns]."""
        return forecasts.transpose(1, 2).flatten(1)


class InstanceNorm(nn.Module):
    """A forecaster that sees the forecast columns of each window less the window's mean, divided by its standard deviation.

    Level and spread are put back into its forecast. That is RevIN (Kim et al., ICLR 2022) without its learned scale and
    shift, as the recipes of PatchTST use it: a series whose level drifts looks alike before and after.
    """

    columns: Tensor

    def __init__(self, model: nn.Module, columns: list[int]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("columns", torch.tensor(columns), persistent=False)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, steps, features] to [batch, horizon * columns]."""
        series = sequences.index_select(2, self.columns)
        mean = series.mean(dim=1, keepdim=True)
        std = (series.var(dim=1, keepdim=True, correction=0) + SMALLEST_VARIANCE).sqrt()
        forecasts: Tensor = self.model(sequences.index_copy(2, self.columns, (series - mean) / std))
        return (forecasts.reshape(len(sequences), -1, len(self.columns)) * std + mean).flatten(1)
