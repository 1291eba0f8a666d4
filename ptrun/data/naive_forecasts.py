"""Naive forecasts that a model should beat: last value, same time last season, ridge on the window.

A forecast reads only rows before its target, and the ridge is fitted to training windows only.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.data.splits import WindowSplit

RIDGE_PENALTY = 1.0
MAX_RIDGE_WINDOWS = 20_000  # taken evenly from all training windows: more do not improve a linear model
MAX_OUTPUTS = 20_000_000  # numbers in a forecast, above which the forecasts alone would take hundreds of MB


def naive_forecasts(
    train: WindowSplit, test: WindowSplit, season: int | None, earliest: Tensor | None = None
) -> dict[str, Tensor]:
    """Return name → predictions of the test split, float32 [len(test), horizon * columns], standardized.

    The seasonal forecast is left out when rows before the first target do not cover a season, and all are left out
    when they would be too large. earliest: for each row, the first row of its series from which on steps are even.
    """
    num_columns = len(test.target_columns)
    if not len(test) or len(test) * test.horizon * num_columns > MAX_OUTPUTS:
        return {}
    values = test.values[:, test.target_columns]
    first_targets = test.starts + test.window
    steps_ahead = torch.arange(test.horizon)
    last = values[first_targets - 1]
    forecasts = {"last value": last[:, None].expand(-1, test.horizon, -1).flatten(1)}
    if season:
        # A horizon beyond one season looks back as many whole seasons as it needs.
        rows_back = season * (steps_ahead // season + 1)
        rows = first_targets[:, None] + steps_ahead - rows_back
        bound = first_targets * 0 if earliest is None else earliest[first_targets]
        if int((rows - bound[:, None]).min()) >= 0:
            forecasts[f"same time last season ({season} rows)"] = values[rows].flatten(1)
    if len(train) > 1:
        forecasts["ridge on the window"] = _ridge(train, test)
    return {name: forecast.contiguous() for name, forecast in forecasts.items()}


def _ridge(train: WindowSplit, test: WindowSplit) -> Tensor:
    """Closed form for each column from its own window: w = (X'X + penalty I)^-1 X'Y, with an unpenalized intercept."""
    chosen = np.unique(np.linspace(0, len(train) - 1, min(len(train), MAX_RIDGE_WINDOWS)).astype(np.int64))
    starts = train.starts.numpy()[chosen]
    by_column = []
    for column in train.target_columns.tolist():
        series = train.values[:, column].numpy().astype(np.float64)
        inputs, outputs = _windows(series, starts, train.window, train.horizon)
        input_mean, output_mean = inputs.mean(axis=0), outputs.mean(axis=0)
        centered = inputs - input_mean
        gram = centered.T @ centered + RIDGE_PENALTY * np.eye(train.window)
        weights = np.linalg.solve(gram, centered.T @ (outputs - output_mean))
        test_inputs, _ = _windows(series, test.starts.numpy(), test.window, test.horizon)
        by_column.append((test_inputs - input_mean) @ weights + output_mean)
    return torch.from_numpy(np.stack(by_column, axis=2).astype(np.float32)).flatten(1)


def _windows(
    series: NDArray[np.float64], starts: NDArray[np.int64], window: int, horizon: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rows of each window, [N, window], and the rows that follow it, [N, horizon]."""
    views = np.lib.stride_tricks.sliding_window_view(series, window + horizon)[starts]
    return views[:, :window], views[:, window:]
