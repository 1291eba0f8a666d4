"""Metrics for regression equal those of scikit-learn."""

from __future__ import annotations

import pytest
import sklearn.metrics as reference
import torch

from ptrun import catalog
from ptrun.metrics.compute import compute
from ptrun.metrics.predictions import to_predictions
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries


NUMBERS = ("mae", "mse", "rmse", "r2", "mape", "scaled_mae", "scaled_mse")


def numbers(count: int, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()) -> DataSpec:
    return DataSpec(
        layout=Layout.VECTOR,
        task=Task.REGRESSION,
        input_shape=(4,),
        num_outputs=count,
        target_names=tuple("xyz"[:count]),
        target_mean=mean,
        target_std=std,
    )


@pytest.mark.parametrize("count", [1, 3])
def test_regression_equals_sklearn(count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(50, count, generator=generator)
    outputs = targets + 0.3 * torch.randn(50, count, generator=generator)
    p = to_predictions(numbers(count, (10.0, 20.0, 5.0)[:count], (2.0, 3.0, 0.5)[:count]), outputs, targets)
    values, reasons = compute(NUMBERS, p)
    assert not reasons
    pair = (p.targets, p.values)
    expected = {
        "mae": reference.mean_absolute_error(*pair),
        "mse": reference.mean_squared_error(*pair),
        "rmse": reference.root_mean_squared_error(*pair),
        "r2": reference.r2_score(*pair),
        "mape": reference.mean_absolute_percentage_error(*pair),
        "scaled_mae": float((outputs.double() - targets.double()).abs().mean()),
        "scaled_mse": float((outputs.double() - targets.double()).square().mean()),
    }
    assert values == pytest.approx(expected, rel=1e-12)
