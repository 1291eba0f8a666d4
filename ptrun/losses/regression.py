"""Losses for regression: each is the mean over all numbers of the batch, in units of the standardized targets."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ptrun.losses.shapes import check_numbers
from ptrun.registry import losses


@losses.register
def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error. Raises DataError when the shapes differ."""
    check_numbers(outputs, targets)
    return F.mse_loss(outputs, targets)


@losses.register
def l1(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error. Raises DataError when the shapes differ."""
    check_numbers(outputs, targets)
    return F.l1_loss(outputs, targets)


@losses.register
def huber(outputs: Tensor, targets: Tensor, *, delta: float = 1.0) -> Tensor:
    """Squared error up to `delta`, linear beyond (Huber, 1964). Raises DataError when the shapes differ."""
    check_numbers(outputs, targets)
    return F.huber_loss(outputs, targets, delta=delta)


@losses.register
def smooth_l1(outputs: Tensor, targets: Tensor, *, beta: float = 1.0) -> Tensor:
    """Huber's loss divided by its threshold `beta` (Girshick, Fast R-CNN, 2015, equation 3).

    Raises DataError when the shapes differ.
    """
    check_numbers(outputs, targets)
    return F.smooth_l1_loss(outputs, targets, beta=beta)
