"""Metrics for numbers."""

from __future__ import annotations

import numpy as np

from ptrun.errors import join_words
from ptrun.metrics.compute import Array, Undefined
from ptrun.metrics.predictions import Predictions
from ptrun.registry import metrics


@metrics.register
def mae(p: Predictions) -> float:
    """Mean absolute error, in the unit of the targets."""
    return float(np.abs(p.values - p.targets).mean())


@metrics.register
def mse(p: Predictions) -> float:
    """Mean squared error, in the squared unit of the targets."""
    return float(np.square(p.values - p.targets).mean())


@metrics.register
def rmse(p: Predictions) -> float:
    """Root of the mean squared error of each target, averaged over targets as scikit-learn does."""
    return float(np.sqrt(np.square(p.values - p.targets).mean(0)).mean())


def _scaled_errors(p: Predictions) -> Array:
    """Errors in units of the training targets' standard deviation, where the data set standardises targets; else as they are."""
    return np.asarray((p.values - p.targets) / np.asarray(p.spec.target_std or 1.0))


@metrics.register
def scaled_mae(p: Predictions) -> float:
    """Mean absolute error over all samples, steps and columns, in standard deviations of the training targets."""
    return float(np.abs(_scaled_errors(p)).mean())


@metrics.register
def scaled_mse(p: Predictions) -> float:
    """Mean squared error over all samples, steps and columns, in variances of the training targets."""
    return float(np.square(_scaled_errors(p)).mean())


@metrics.register
def r2(p: Predictions) -> float:
    """1 - squared error / squared deviation from the mean, averaged over targets."""
    deviation = np.square(p.targets - p.targets.mean(0)).sum(0)
    rounding = len(p.targets) * np.square(1e-6 * np.abs(p.targets).max(0))  # targets went through float32
    if (deviation <= rounding).any():
        names = p.spec.target_names or tuple(f"target {i}" for i in range(len(deviation)))
        constant = [name for name, still in zip(names, deviation <= rounding, strict=True) if still]
        raise Undefined(f"{join_words(constant, 8)} does not vary over the {len(p.targets)} samples")
    return float((1 - np.square(p.values - p.targets).sum(0) / deviation).mean())


@metrics.register
def mape(p: Predictions) -> float:
    """Mean of |error| / |target|, as a share (0.1 is 10 %). Undefined when a target is all but zero."""
    size = np.abs(p.targets)
    tiny = int((size <= 1e-6 * size.mean()).sum())
    if tiny:
        raise Undefined(f"{tiny} of {size.size} targets are zero or nearly so, and it divides by them")
    return float((np.abs(p.values - p.targets) / size).mean())
