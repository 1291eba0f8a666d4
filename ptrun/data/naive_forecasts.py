"""Naive forecasts that a model should beat: last value, same time last season, ridge on the window.

Invariant: a forecast reads rows before its target only; the ridge is fitted to training windows only.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.data.splits import WindowSplit

RIDGE_PENALTY = 1.0
MOST_WINDOWS = 20_000  # A linear model gains nothing from more; they are taken evenly from all.
MOST_OUTPUTS = 20_000_000  # Above this the forecasts alone would take hundreds of MB.


def naive_forecasts(train: WindowSplit, test: WindowSplit, season: int | None) -> dict[str, Tensor]:
    """Return name → predictions of the test split, float32 [len(test), horizon * columns], standardised.

    A season that the rows before the first target do not cover is left out, and so is all when it would be too large.
    """
    columns = len(test.target_columns)
    if not len(test) or len(test) * test.horizon * columns > MOST_OUTPUTS:
        return {}
    values = test.values[:, test.target_columns]
    first = test.starts + test.window
    ahead = torch.arange(test.horizon)
    forecasts = {"last value": values[first - 1][:, None].expand(-1, test.horizon, -1).flatten(1)}
    if season:
        # A horizon beyond one season looks back as many whole seasons as it needs.
        back = season * (ahead // season + 1)
        source = first[:, None] + ahead - back
        if int(source.min()) >= 0:
            forecasts[f"same time last season ({season} rows)"] = values[source].flatten(1)
    if len(train) > 1:
        forecasts["ridge on the window"] = _ridge(train, test)
    return {name: forecast.contiguous() for name, forecast in forecasts.items()}


def _ridge(train: WindowSplit, test: WindowSplit) -> Tensor:
    """Closed form for each column from its own window: w = (X'X + penalty I)^-1 X'Y, with an unpenalised intercept."""
    rows = np.unique(np.linspace(0, len(train) - 1, min(len(train), MOST_WINDOWS)).astype(np.int64))
    starts = train.starts.numpy()[rows]
    by_column = []
    for column in train.target_columns.tolist():
        series = train.values[:, column].numpy().astype(np.float64)
        inputs, outputs = _windows(series, starts, train.window, train.horizon)
        input_mean, output_mean = inputs.mean(axis=0), outputs.mean(axis=0)
        centred = inputs - input_mean
        gram = centred.T @ centred + RIDGE_PENALTY * np.eye(train.window)
        weights = np.linalg.solve(gram, centred.T @ (outputs - output_mean))
        held_out, _ = _windows(series, test.starts.numpy(), test.window, test.horizon)
        by_column.append((held_out - input_mean) @ weights + output_mean)
    return torch.from_numpy(np.stack(by_column, axis=2).astype(np.float32)).flatten(1)


def _windows(
    series: NDArray[np.float64], starts: NDArray[np.int64], window: int, horizon: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    views = np.lib.stride_tricks.sliding_window_view(series, window + horizon)[starts]
    return views[:, :window], views[:, window:]
