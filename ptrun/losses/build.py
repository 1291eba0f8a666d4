"""Losses: how far outputs are from targets, as one number to minimise.

Invariant: a loss is the mean over the batch, and outputs and targets whose shapes do not match
raise a DataError instead of being broadcast.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from ptrun.errors import ConfigError, join_words
from ptrun.losses.shapes import Loss, check_classes, check_numbers
from ptrun.registry import losses
from ptrun.spec import DataSpec, Task

_TASKS = {
    "cross_entropy": Task.CLASSIFICATION,
    "binary_cross_entropy": Task.CLASSIFICATION,
    "mse": Task.REGRESSION,
    "l1": Task.REGRESSION,
    "huber": Task.REGRESSION,
    "smooth_l1": Task.REGRESSION,
}
_SHARES = ("cross_entropy", "binary_cross_entropy")  # also take targets [batch, classes] that sum to one


def default_loss(spec: DataSpec) -> str:
    """The loss that `loss=auto` stands for."""
    return "cross_entropy" if spec.task is Task.CLASSIFICATION else "mse"


def build_loss(name: str, settings: Mapping[str, Any], spec: DataSpec, class_counts: Tensor | None = None) -> Loss:
    """Return `loss(outputs, targets) -> scalar`, an nn.Module when it holds tensors.

    class_counts: training samples per class, int64 [num_outputs]; None for regression.
    A registered function whose first parameter is called `outputs` is the loss itself; any other is
    called with the spec (and `class_counts` if it has that keyword) and returns the loss.
    Raises ConfigError for a wrong setting or task, DataError for a class without samples to weigh.
    """
    function = losses.get(name)
    task = _TASKS.get(name, spec.task)
    if task is not spec.task:
        fitting = [loss for loss, its_task in _TASKS.items() if its_task is spec.task]
        raise ConfigError(
            f"loss: '{name}' is for {task}, but the data ask for {spec.task}. Use loss=auto or one of: {join_words(fitting)}."
        )
    if next(iter(inspect.signature(function).parameters), "") != "outputs":
        built: Loss = losses.build(name, settings, spec, class_counts=class_counts)
        return built
    losses.check(name, settings)
    return partial(_checked, partial(function, **settings), spec.task)


def _checked(loss: Loss, task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    check = check_classes if task is Task.CLASSIFICATION else check_numbers
    check(outputs, targets)
    return loss(outputs, targets)


def require_shares(name: str, spec: DataSpec) -> None:
    """Raise ConfigError when a loss can't take shares of several classes as targets, which mixup and cutmix give."""
    if spec.task is Task.CLASSIFICATION and name not in _SHARES:
        raise ConfigError(
            f"loss: mixup and cutmix give an image shares of several classes, which '{name}' can't take. Use {join_words(_SHARES)}, or remove them from transform.train."
        )
