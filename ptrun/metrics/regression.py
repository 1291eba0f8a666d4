"""Metrics for regression."""

from __future__ import annotations

import numpy as np

from ptrun.errors import join_words
from ptrun.metrics.compute import Undefined
from ptrun.metrics.predictions import Array, Predictions
from ptrun.registry import metrics


@metrics.register
def mae(predictions: Predictions) -> float:
    """Mean absolute error, in the unit of the targets."""
    return float(np.abs(predictions.values - predictions.targets).mean())


@metrics.register
def mse(predictions: Predictions) -> float:
    """Mean squared error, in the squared unit of the targets."""
    return float(np.square(predictions.values - predictions.targets).mean())


@metrics.register
def rmse(predictions: Predictions) -> float:
    """Root of the mean squared error of each target, averaged over targets as scikit-learn does."""
    return float(np.sqrt(np.square(predictions.values - predictions.targets).mean(0)).mean())


def _scaled_errors(predictions: Predictions) -> Array:
    """Errors in standard deviations of the training targets, where the data set scales targets; else as they are."""
    return np.asarray((predictions.values - predictions.targets) / np.asarray(predictions.spec.target_std or 1.0))


@metrics.register
def scaled_mae(predictions: Predictions) -> float:
    """Mean absolute error over all samples, time steps and columns, in standard deviations of the training targets."""
    return float(np.abs(_scaled_errors(predictions)).mean())


@metrics.register
def scaled_mse(predictions: Predictions) -> float:
    """Mean squared error over all samples, time steps and columns, in variances of the training targets."""
    return float(np.square(_scaled_errors(predictions)).mean())


@metrics.register
def r2(predictions: Predictions) -> float:
    """1 - squared error / squared deviation from the mean, averaged over targets."""
    deviation = np.square(predictions.targets - predictions.targets.mean(0)).sum(0)
    rounding = len(predictions.targets) * np.square(
        1e-6 * np.abs(predictions.targets).max(0)
    )  # targets are read as float32
    if (deviation <= rounding).any():
        names = predictions.spec.target_names or tuple(f"target {i}" for i in range(len(deviation)))
        constant = [name for name, is_constant in zip(names, deviation <= rounding, strict=True) if is_constant]
        raise Undefined(f"{join_words(constant, 8)} does not vary over the {len(predictions.targets)} samples")
    return float((1 - np.square(predictions.values - predictions.targets).sum(0) / deviation).mean())


@metrics.register
def mape(predictions: Predictions) -> float:
    """Mean of |error| / |target|, as a share (0.1 is 10 %). Undefined when a target is zero or nearly so."""
    sizes = np.abs(predictions.targets)
    num_tiny = int((sizes <= 1e-6 * sizes.mean()).sum())
    if num_tiny:
        raise Undefined(f"{num_tiny} of {sizes.size} targets are zero or nearly so, and it divides by them")
    return float((np.abs(predictions.values - predictions.targets) / sizes).mean())
