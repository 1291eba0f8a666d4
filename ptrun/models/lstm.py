"""Lstm: a recurrent network that reads a sequence and predicts from its final state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptrun.models.layers.autoregression import Autoregression, make_autoregression
from ptrun.models.layers.forecasting import InstanceNorm, forecast_channels
from ptrun.models.layers.layouts import require_layout
from ptrun.models.layers.padding import final_lstm_state, split_padding
from ptrun.registry import models
from ptrun.spec import DataSpec, Layout


class Lstm(nn.Module):
    """Stacked LSTM (Hochreiter and Schmidhuber 1997), dropout, linear head.

    The head takes the final hidden state of the top layer, of both directions if there are two. The output at the last
    time step would not do: there the backward direction has read only one time step.
    """

    def __init__(
        self,
        num_features: int,
        num_outputs: int,
        hidden_features: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        autoregression: Autoregression | None = None,
        padding_channel: bool = False,
    ) -> None:
        super().__init__()
        between_layers = dropout if num_layers > 1 else 0.0  # nn.LSTM warns about dropout between the layers of one
        self.lstm = nn.LSTM(
            num_features,
            hidden_features,
            num_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=between_layers,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_features * (2 if bidirectional else 1), num_outputs)
        self.autoregression = autoregression
        self.padding_channel = padding_channel

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, num_outputs]; time steps that are padding do not count."""
        outputs: Tensor = self.head(self.dropout(self.final_state(sequences)))
        return outputs if self.autoregression is None else outputs + self.autoregression(sequences)

    def final_state(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, directions * hidden]."""
        if self.padding_channel:
            return final_lstm_state(self.lstm, *split_padding(sequences))
        _, (hidden, _) = self.lstm(sequences)  # [layers * directions, batch, hidden]
        return torch.cat([hidden[-2], hidden[-1]], dim=1) if self.lstm.bidirectional else hidden[-1]


@models.register
def lstm(
    spec: DataSpec,
    *,
    hidden_features: int = 64,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    autoregressive: bool | str = "auto",
    instance_norm: bool = False,
) -> nn.Module:
    """LSTM for forecasts and for sequence classification. Raises ConfigError for other layouts."""
    require_layout(spec, "lstm", Layout.SEQUENCE)
    linear = make_autoregression(spec, autoregressive)
    model = Lstm(
        spec.num_measured_channels,
        spec.num_outputs,
        hidden_features,
        num_layers,
        bidirectional,
        dropout,
        linear,
        spec.padding_channel,
    )
    if not instance_norm:
        return model
    return InstanceNorm(model, forecast_channels(spec, "lstm model.instance_norm=true"))
