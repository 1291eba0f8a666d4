"""The linear part begins as the naive forecast and can become any linear map of the window."""

from __future__ import annotations

import torch

from ptrun.models.layers.autoregression import Autoregression, forecast_columns, make_autoregression
from ptrun.models.lstm import lstm
from ptrun.models.transformer import transformer
from ptrun.spec import DataSpec, Layout, Task


def make_spec(**changes) -> DataSpec:
    facts = {
        "layout": Layout.SEQUENCE,
        "task": Task.REGRESSION,
        "input_shape": (5, 3),
        "num_outputs": 4,
        "feature_names": ("rain", "wind", "year sine"),
        "target_names": ("wind +1", "rain +1", "wind +2", "rain +2"),
        "horizon": 2,
    }
    return DataSpec(**{**facts, **changes})


def test_an_untrained_linear_part_repeats_the_last_values():
    linear = make_autoregression(make_spec(), "auto")
    assert linear is not None
    windows = torch.randn(6, 5, 3)
    assert torch.equal(linear(windows), windows[:, -1, [1, 0, 1, 0]])


def test_names_of_a_single_step_are_the_columns():
    spec = make_spec(num_outputs=2, target_names=("wind", "hail"), horizon=1)
    assert forecast_columns(spec) == [1, None]


def test_a_target_that_is_no_input_starts_at_zero():
    linear = Autoregression(5, 3, [None])
    assert not linear(torch.randn(6, 5, 3)).any()


def test_auto_is_for_forecasts_only():
    classes = make_spec(task=Task.CLASSIFICATION, horizon=0, target_names=())
    assert make_autoregression(classes, "auto") is None
    assert make_autoregression(classes, True) is not None
    assert make_autoregression(make_spec(), False) is None


def test_models_add_it_to_what_they_compute():
    windows = torch.randn(2, 5, 3)
    for model in (lstm(make_spec()), transformer(make_spec(), width=16)):
        model.eval()
        whole = model(windows)
        linear, model.autoregression = model.autoregression(windows), None
        torch.testing.assert_close(whole, model(windows) + linear)
