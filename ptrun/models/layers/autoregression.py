"""A linear map of the whole input window, added to the output of a recurrent or attention model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ptrun.spec import DataSpec


class Autoregression(nn.Module):
    """The autoregressive component of LSTNet (Lai et al. 2018, arXiv:1703.07015, section 3.6).

    A network's output hardly follows the level of its input, while a forecast is mostly a weighted mean of the last
    values. The linear part learns that mean, and the network the rest. It is initialized to repeat the last value, so
    that training begins with the naive forecast.

    columns: for each output the input column whose last value it repeats at first, or None for zero.
    """

    def __init__(self, num_steps: int, num_features: int, columns: Sequence[int | None]) -> None:
        super().__init__()
        self.linear = nn.Linear(num_steps * num_features, len(columns))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        last_step = (num_steps - 1) * num_features
        with torch.no_grad():
            for output, column in enumerate(columns):
                if column is not None:
                    self.linear.weight[output, last_step + column] = 1.0

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, num_outputs]."""
        outputs: Tensor = self.linear(sequences.flatten(1))
        return outputs


def make_autoregression(spec: DataSpec, enabled: bool | str) -> Autoregression | None:
    """Return the linear part for sequences if it is enabled; `auto` enables it for forecasts only."""
    if not (bool(spec.horizon) if enabled == "auto" else enabled):
        return None
    steps, features = spec.input_shape
    return Autoregression(steps, features, forecast_columns(spec))


def forecast_columns(spec: DataSpec) -> list[int | None]:
    """For each output the input column of the same name, or None; names of forecasts may end in " +2" (steps ahead)."""
    names = spec.target_names or ("",) * spec.num_outputs
    columns = [name.rsplit(" +", 1)[0] if spec.horizon > 1 else name for name in names]
    return [spec.feature_names.index(name) if spec.horizon and name in spec.feature_names else None for name in columns]
