"""Checks that outputs and targets have the shapes that a loss needs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ptrun.errors import DataError

Loss = Callable[[Tensor, Tensor], Tensor]


def check_numbers(outputs: Tensor, targets: Tensor) -> None:
    if outputs.shape != targets.shape:
        raise DataError(
            f"The outputs have shape {list(outputs.shape)} and the targets {list(targets.shape)}; a loss for numbers needs "
            "equal shapes, [batch, numbers to predict]. Check what the model returns and what the data set gives."
        )


def check_classes(outputs: Tensor, targets: Tensor) -> None:
    shares = targets.is_floating_point() and targets.shape == outputs.shape
    if outputs.dim() != 2 or (targets.shape != outputs.shape[:1] and not shares):
        raise DataError(
            f"The outputs have shape {list(outputs.shape)} and the targets {list(targets.shape)}; a loss for classes needs "
            "outputs [batch, classes] and targets [batch]. Check what the model returns and what the data set gives."
        )
