"""What a loss is, and checks that outputs and targets have the shapes that it needs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ptrun.errors import ConfigError, DataError
from ptrun.registry import described
from ptrun.spec import DataSpec, Task

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


def check_number_of_outputs(spec: DataSpec, outputs: Tensor) -> None:
    """Raise ConfigError when a model returns no tensor, or another number of outputs than there are classes."""
    if not isinstance(outputs, Tensor):
        raise ConfigError(
            f"model: it gives {described(outputs)}, but a tensor [batch, {spec.num_outputs}] is needed. Return that "
            "tensor alone from its `forward`."
        )
    if spec.task is Task.CLASSIFICATION and outputs.dim() == 2 and outputs.shape[1] != spec.num_outputs:
        raise ConfigError(
            f"model: {spec.num_outputs} outputs are needed, one for each class, but the model gives "
            f"{outputs.shape[1]}. Its last layer needs spec.num_outputs outputs, also for two classes."
        )
