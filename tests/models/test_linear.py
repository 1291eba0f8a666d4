"""DLinear and NLinear compute the equations of their paper."""

from __future__ import annotations

import pytest
import torch
from support import forecast_spec

from ptrun.errors import ConfigError
from ptrun.models.linear import dlinear, nlinear


def by_hand(window: torch.Tensor, kernel_size: int) -> torch.Tensor:
    """Moving average of one column [steps], written as the sentence says: ends repeated, mean of each stretch."""
    reach = kernel_size // 2
    values = [float(window[0])] * reach + window.tolist() + [float(window[-1])] * reach
    return torch.tensor([sum(values[i : i + kernel_size]) / kernel_size for i in range(len(window))])


@pytest.mark.parametrize("kernel_size", [1, 5, 25])
def test_dlinear_is_the_sum_of_two_maps_of_the_decomposition(kernel_size):
    torch.manual_seed(0)
    model = dlinear(forecast_spec(), kernel_size=kernel_size)
    windows = torch.randn(2, 40, 3)
    outputs = model(windows).unflatten(1, (3, 2))
    for sample in range(2):
        for target, column in enumerate((1, 0)):
            trend = by_hand(windows[sample, :, column], kernel_size)
            expected = model.trend(trend) + model.remainder(windows[sample, :, column] - trend)
            torch.testing.assert_close(outputs[sample, :, target], expected, rtol=1e-4, atol=1e-5)


def test_nlinear_follows_a_constant_that_is_added():
    torch.manual_seed(0)
    model = nlinear(forecast_spec())
    windows = torch.randn(4, 40, 3)
    torch.testing.assert_close(model(windows + 100), model(windows) + 100, rtol=1e-4, atol=1e-3)


def test_nlinear_is_a_map_of_the_window_less_its_last_value():
    torch.manual_seed(0)
    model = nlinear(forecast_spec())
    window = torch.randn(1, 40, 3)
    rain = window[0, :, 0]
    expected = model.linear(rain - rain[-1]) + rain[-1]
    torch.testing.assert_close(model(window)[0, 1::2], expected)


@pytest.mark.parametrize("build", [dlinear, nlinear])
def test_individual_weights_equal_a_map_for_each_column(build):
    torch.manual_seed(0)
    alone, shared = build(forecast_spec(), individual=True), build(forecast_spec())
    windows = torch.randn(4, 40, 3)
    outputs = alone(windows).unflatten(1, (3, 2))
    for column in range(2):
        for name, module in shared.named_children():
            if name != "channels":
                module.weight.data = getattr(alone, name).weight[column].T
                module.bias.data = getattr(alone, name).bias[column]
        torch.testing.assert_close(outputs[:, :, column], shared(windows).unflatten(1, (3, 2))[:, :, column])


def test_an_even_kernel_has_no_middle():
    with pytest.raises(ConfigError, match=r"model\.kernel_size is 24; it has to be odd.*Use 23 or 25"):
        dlinear(forecast_spec(), kernel_size=24)
