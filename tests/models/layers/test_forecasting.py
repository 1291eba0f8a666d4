"""Forecasting models find the columns to forecast, refuse other data, and normalize each window."""

from __future__ import annotations

import pytest
import torch
from support import forecast_spec
from torch import nn

from ptrun import catalog
from ptrun.errors import ConfigError
from ptrun.models.layers.forecasting import Channels, InstanceNorm, forecast_channels
from ptrun.models.lstm import lstm
from ptrun.registry import models
from ptrun.spec import Layout, Task

assert catalog.MODULES  # importing it filled the registries
FORECASTERS = ["dlinear", "nlinear", "patch_transformer"]


class LastSteps(nn.Module):
    """Forecasts the last three steps again."""

    def forward(self, sequences):
        return sequences[:, -3:][:, :, [1, 0]].flatten(1)


def test_channels_are_the_columns_of_the_targets():
    columns = forecast_channels(forecast_spec(), "dlinear")
    assert columns == [1, 0]
    windows = torch.randn(5, 40, 3)
    channels = Channels(columns)
    assert torch.equal(channels(windows), windows[:, :, [1, 0]].transpose(1, 2))
    assert torch.equal(channels.join(channels(windows)[:, :, -3:]), LastSteps()(windows))


def test_a_single_step_ahead_has_no_numbers_in_its_names():
    spec = forecast_spec(num_outputs=1, target_names=("rain",), horizon=1)
    assert forecast_channels(spec, "dlinear") == [0]


@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layout": Layout.IMAGE, "input_shape": (1, 8, 8)}, "reads sequences, but the data set gives images"),
        (
            {"task": Task.CLASSIFICATION, "horizon": 0, "target_names": ()},
            "but the data ask for classification of the whole sequence",
        ),
        ({"num_outputs": 1, "horizon": 1, "target_names": ("hail",)}, r"hail is not among the inputs \(rain, wind"),
    ],
)
def test_other_data_are_refused_in_a_sentence(name, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        models.build(name, {}, forecast_spec(**changes))


@pytest.mark.parametrize("name", FORECASTERS)
def test_columns_are_forecast_from_their_own_past_alone(name):
    torch.manual_seed(0)
    model = models.build(name, {}, forecast_spec()).eval()
    windows = torch.randn(4, 40, 3)
    outputs = model(windows)
    assert outputs.shape == (4, 6)
    other = windows.clone()
    other[:, :, 1:] = torch.randn(4, 40, 2)  # the wind and the calendar change, the rain does not
    changed = model(other)
    assert torch.equal(outputs[:, 1::2], changed[:, 1::2])
    assert not torch.allclose(outputs[:, 0::2], changed[:, 0::2])


@pytest.mark.parametrize("name", FORECASTERS)
def test_columns_share_weights(name):
    torch.manual_seed(0)
    model = models.build(name, {}, forecast_spec()).eval()
    windows = torch.randn(4, 40, 3)
    swapped = model(windows[:, :, [1, 0, 2]])
    torch.testing.assert_close(swapped.unflatten(1, (3, 2)).flip(2).flatten(1), model(windows))


@pytest.mark.parametrize("name", FORECASTERS)
def test_every_parameter_is_trained(name):
    model = models.build(name, {}, forecast_spec())
    model(torch.randn(4, 40, 3)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


@pytest.mark.parametrize("inner", ["lstm", "patch_transformer"])
def test_instance_norm_follows_level_and_scale(inner):
    torch.manual_seed(0)
    model = models.build(inner, {"instance_norm": True}, forecast_spec()).eval()
    windows = torch.randn(4, 40, 3).double()
    model = model.double()
    shift, scale = torch.tensor([100.0, -30.0, 0.0]), torch.tensor([5.0, 0.5, 1.0])
    expected = model(windows).unflatten(1, (3, 2)) * scale[[1, 0]] + shift[[1, 0]]
    forecasts = model(windows * scale + shift)
    torch.testing.assert_close(forecasts, expected.flatten(1), rtol=1e-3, atol=1e-3)


def test_instance_norm_gives_mean_zero_and_spread_one_and_leaves_other_columns():
    seen = []
    model = LastSteps()
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    windows = torch.randn(4, 40, 3) * 7 + 3
    before = windows.clone()
    torch.testing.assert_close(InstanceNorm(model, [1, 0])(windows), LastSteps()(windows), rtol=1e-4, atol=1e-4)
    assert torch.equal(windows, before)
    assert torch.equal(seen[0][:, :, 2], windows[:, :, 2])
    torch.testing.assert_close(seen[0][:, :, :2].mean(dim=1), torch.zeros(4, 2), rtol=0, atol=1e-4)
    torch.testing.assert_close(seen[0][:, :, :2].std(dim=1, correction=0), torch.ones(4, 2), rtol=0, atol=1e-4)


def test_a_window_of_one_value_has_a_forecast():
    model = lstm(forecast_spec(), instance_norm=True, autoregressive=False)
    assert torch.isfinite(model(torch.ones(2, 40, 3))).all()


def test_instance_norm_is_for_forecasts():
    spec = forecast_spec(task=Task.CLASSIFICATION, horizon=0, target_names=())
    with pytest.raises(
        ConfigError, match=r"model=lstm model\.instance_norm=true forecasts the time steps .* ask for classification"
    ):
        lstm(spec, instance_norm=True)
