"""Naive forecasts are what their names say, and use rows before the target only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ptrun.data import naive_forecasts as module
from ptrun.data.naive_forecasts import naive_forecasts
from ptrun.data.splits import WindowSplit

SERIES = torch.from_numpy(np.random.default_rng(0).normal(size=(400, 2)).cumsum(0).astype(np.float32))
TRAIN = WindowSplit(SERIES, torch.arange(0, 190), 7, 3, torch.tensor([1]))
TEST = WindowSplit(SERIES, torch.arange(193, 390), 7, 3, torch.tensor([1]))


def test_last_value_and_last_season() -> None:
    forecasts = naive_forecasts(TRAIN, TEST, season=5)
    first = 193 + 7
    assert forecasts["last value"].shape == (197, 3)
    assert forecasts["last value"][0].tolist() == [float(SERIES[first - 1, 1])] * 3
    assert torch.equal(forecasts["same time last season (5 rows)"][0], SERIES[first - 5 : first - 2, 1])


def test_a_horizon_beyond_a_season_looks_back_whole_seasons() -> None:
    forecast = naive_forecasts(TRAIN, TEST, season=2)["same time last season (2 rows)"][0]
    first = 193 + 7
    assert forecast.tolist() == [float(SERIES[row, 1]) for row in (first - 2, first - 1, first - 2)]


def test_a_season_that_is_too_long_is_left_out() -> None:
    assert set(naive_forecasts(TRAIN, TEST, season=300)) == {"last value", "ridge on the window"}
    assert set(naive_forecasts(TRAIN, TEST, season=None)) == {"last value", "ridge on the window"}


def test_ridge_finds_a_linear_rule() -> None:
    series = torch.sin(torch.arange(400.0) / 5)[:, None]
    split = WindowSplit(series, torch.arange(300), 20, 2, torch.tensor([0]))
    forecast = naive_forecasts(split, replace(split, starts=torch.arange(300, 370)), None)["ridge on the window"]
    targets = replace(split, starts=torch.arange(300, 370)).targets
    assert float((forecast - targets).abs().max()) < 0.05


def test_later_rows_change_no_forecast_before_them() -> None:
    changed = SERIES.clone()
    changed[200:] += 1000
    before = naive_forecasts(TRAIN, TEST, 5)
    after = naive_forecasts(replace(TRAIN, values=changed), replace(TEST, values=changed), 5)
    assert all(torch.equal(before[name][0], after[name][0]) for name in before)


def test_nothing_is_forecast_when_it_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OUTPUTS", 197 * 3 - 1)
    assert naive_forecasts(TRAIN, TEST, 5) == {}
    assert naive_forecasts(TRAIN, replace(TEST, starts=torch.arange(0)), 5) == {}
