"""A linear map of the whole input window, added to the output of a recurrent or attention model.

Invariant: at the start of training it repeats the last value of every column that is forecast, and adds
zero to every other output.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ptrun.spec import DataSpec


class Autoregression(nn.Module):
    """The autoregressive component of LSTNet (Lai et al. 2018, arXiv:1703.07015, section 3.6), begun at the naive forecast.

    A network's output barely follows the level of its input, while tomorrow is mostly a weighted mean
    of the last days. The linear part learns that mean, the network learns what is left over. As it
    starts from "tomorrow is like today", training only has to improve on that.

    columns: for each output the input column whose last value it starts from, or None for zero.
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
        """Map [batch, steps, features] to [batch, num_outputs]."""
        outputs: Tensor = self.linear(sequences.flatten(1))
        return outputs


def autoregression(spec: DataSpec, wanted: bool | str) -> Autoregression | None:
    """Return the linear part for sequences when it is wanted; `auto` wants it for forecasts only."""
    if not (bool(spec.horizon) if wanted == "auto" else wanted):
        return None
    steps, features = spec.input_shape
    return Autoregression(steps, features, forecast_columns(spec))


def forecast_columns(spec: DataSpec) -> list[int | None]:
    """For each output the input column that it continues, by name; a name ends in " +2" two steps ahead."""
    names = spec.target_names or ("",) * spec.num_outputs
    continued = [name.rsplit(" +", 1)[0] if spec.horizon > 1 else name for name in names]
    return [
        spec.feature_names.index(name) if spec.horizon and name in spec.feature_names else None for name in continued
    ]
