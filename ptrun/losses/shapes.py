"""What a loss is, and checks that outputs and targets have the shapes that it needs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ptrun.errors import DataError

Loss = Callable[[Tensor, Tensor], Tensor]  # outputs and targets of a batch → scalar, the mean over its samples


def check_numbers(outputs: Tensor, targets: Tensor) -> None:
    """Raise DataError unless the shapes are equal: torch would broadcast [batch, 1] and [batch] to [batch, batch]."""
    if outputs.shape != targets.shape:
        raise DataError(
            f"The outputs have shape {list(outputs.shape)} and the targets {list(targets.shape)}; a loss for numbers "
            "needs equal shapes, [batch, numbers to predict]. Check what the model returns and what the data set gives."
        )


def check_classes(outputs: Tensor, targets: Tensor) -> None:
    """Raise DataError unless outputs are [batch, classes], and targets [batch] or probabilities [batch, classes]."""
    has_probabilities = targets.is_floating_point() and targets.shape == outputs.shape
    if outputs.dim() != 2 or (targets.shape != outputs.shape[:1] and not has_probabilities):
        raise DataError(
            f"The outputs have shape {list(outputs.shape)} and the targets {list(targets.shape)}; a loss for classes "
            "needs outputs [batch, classes] and targets [batch]. Check what the model returns and what the data give."
        )
