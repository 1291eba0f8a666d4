"""Builds the loss that a configuration names, for the task and the classes of the data."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from ptrun.errors import ConfigError, join_words
from ptrun.losses.shapes import Loss, check_classes, check_number_of_outputs, check_numbers
from ptrun.registry import losses
from ptrun.spec import DataSpec, Task

# The same facts as `# task:` in conf/loss/*.yaml, which this floor can't read; a test keeps them equal.
_TASKS = {
    "cross_entropy": Task.CLASSIFICATION,
    "binary_cross_entropy": Task.CLASSIFICATION,
    "mse": Task.REGRESSION,
    "l1": Task.REGRESSION,
    "huber": Task.REGRESSION,
    "smooth_l1": Task.REGRESSION,
}
_NOT_IN_PLAIN_LOSS = {
    "label_smoothing": "label smoothing",
    "class_weights": "class weights",
    "pos_weight": "weights of the positive samples",
}
_ACCEPT_PROBABILITIES = ("cross_entropy", "binary_cross_entropy")  # as targets, [batch, classes], each row summing to 1


def default_loss(spec: DataSpec) -> str:
    """The loss that `loss=auto` stands for."""
    return "cross_entropy" if spec.task is Task.CLASSIFICATION else "mse"


def build_loss(name: str, settings: Mapping[str, Any], spec: DataSpec, class_counts: Tensor | None = None) -> Loss:
    """Return the loss called `name`; it is an nn.Module when it holds tensors, which then move with it to a device.

    class_counts: training samples per class, int64 [num_outputs]; None for regression.
    A registered function whose first parameter is called `outputs` is the loss itself. Any other function is
    called with the spec (and `class_counts` if it has that keyword) and returns the loss.
    With classes, the loss refuses outputs of another number than these: one for two classes, for example.
    Raises ConfigError for a wrong setting or task, DataError for a class without samples that needs a weight.
    """
    function = losses.get(name)
    task = _TASKS.get(name, spec.task)
    if task is not spec.task:
        suitable = [loss for loss, loss_task in _TASKS.items() if loss_task is spec.task]
        raise ConfigError(
            f"loss: '{name}' is for {task}, but the data ask for {spec.task}. "
            f"Use loss=auto or one of: {join_words(suitable)}."
        )
    if next(iter(inspect.signature(function).parameters), "") != "outputs":
        loss: Loss = losses.build(name, settings, spec, class_counts=class_counts)
        if isinstance(loss, nn.Module):
            loss.register_forward_pre_hook(partial(_check_inputs, spec))
            if not function.__module__.startswith("ptrun."):  # a hook takes microseconds of each step
                loss.register_forward_hook(partial(_check_result, name))
            return loss
        if not callable(loss) or isinstance(loss, type):
            raise losses.wrong_result(name, loss)
        return partial(_checked, loss, name, spec)
    losses.check(name, settings)
    losses.check_parameters(name, None, None)
    return partial(_checked_with_shapes, partial(function, **settings), name, spec)


def loss_notes(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence on what validation and test losses hold beside the plain loss, as other programs report it."""
    included = [f"{text} (loss.{key})" for key, text in _NOT_IN_PLAIN_LOSS.items() if settings.get(key)]
    if not included:
        return ()
    return (f"val/loss and the test loss include {join_words(included)}; the metric log_loss has the plain one.",)


def _checked_with_shapes(loss: Loss, name: str, spec: DataSpec, outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of a batch whose shapes are checked first, so that the function of a plugin need not do it."""
    check_number_of_outputs(spec, outputs)
    check = check_classes if spec.task is Task.CLASSIFICATION else check_numbers
    check(outputs, targets)
    return _checked(loss, name, spec, outputs, targets)


def _checked(loss: Loss, name: str, spec: DataSpec, outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of a batch. Raises ConfigError when it is no scalar."""
    check_number_of_outputs(spec, outputs)
    result = loss(outputs, targets)
    if not _is_scalar(result):
        raise losses.wrong_result(name, result)
    return result


def _is_scalar(result: object) -> bool:
    return isinstance(result, Tensor) and result.dim() == 0


def _check_result(name: str, loss: nn.Module, inputs: tuple[Tensor, ...], result: object) -> None:
    """A hook that checks what a loss returns."""
    if not _is_scalar(result):
        raise losses.wrong_result(name, result)


def _check_inputs(spec: DataSpec, loss: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """A hook that checks the outputs of the model before the loss, whose own error names an index."""
    check_number_of_outputs(spec, inputs[0])


def require_probability_targets(name: str, spec: DataSpec) -> None:
    """Raise ConfigError when a loss can't take the targets that mixup and cutmix give: probabilities of the classes."""
    if spec.task is Task.CLASSIFICATION and name not in _ACCEPT_PROBABILITIES:
        raise ConfigError(
            f"loss: mixup and cutmix give an image a share of several classes as its target, which '{name}' can't "
            f"take. Use {join_words(_ACCEPT_PROBABILITIES)}, or remove them from transform.train."
        )
