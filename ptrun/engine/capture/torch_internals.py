"""Private parts of torch that recording a step uses, each with what happens where a torch does not have it."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def gradients(loss: Tensor, parameters: Sequence[Tensor], loss_gradient: Tensor) -> Sequence[Tensor]:
    """Call the engine behind `torch.autograd.grad`, or that function itself.

    `torch.autograd.grad` of some versions imports sympy, which takes a second, only to compare the shapes of the loss
    and its gradient.
    """
    engine = getattr(torch.autograd.Variable, "_execution_engine", None)
    if engine is None:
        return torch.autograd.grad(loss, parameters, loss_gradient)
    results: tuple[Tensor, ...] = engine.run_backward(
        (loss,), (loss_gradient,), False, False, tuple(parameters), allow_unreachable=False, accumulate_grad=False
    )
    return results


def is_view(operation: Any) -> bool:
    """Whether an operator only gives another view of its input and writes nothing; False where torch does not say."""
    returns = getattr(getattr(operation, "_schema", None), "returns", ())
    aliases = [value.alias_info for value in returns]
    return bool(aliases) and all(alias is not None and not alias.is_write for alias in aliases)


def fast_binding(operation: Callable[..., Any]) -> Callable[..., Any]:
    """The quickest function that runs an operator, with a name for torch.fx; the operator where torch has no other.

    torch has C functions that parse the arguments of most operators, such as torch.mm. Calling all operators by their
    general entry instead made the captured step of a small MLP 1.2 to 1.3 times as slow.
    """
    name = getattr(getattr(operation, "_schema", None), "name", "").removeprefix("aten::")
    for namespace in (torch, getattr(torch._C, "_nn", None), Tensor):
        function: Callable[..., Any] | None = getattr(namespace, name, None)
        # Functions in Python, such as torch.norm, do more than one operator.
        if isinstance(function, types.BuiltinFunctionType | types.MethodDescriptorType):
            return _named(function, name)
    entry = getattr(operation, "_op", None)
    return operation if entry is None else _named(entry, name)


def unwrap_bindings(function: Callable[..., Any]) -> None:
    """Let code that torch.fx wrote call the functions of `fast_binding` themselves.

    torch.fx writes `torch.mm`, which Python looks up at each call, because the module `torch` has a `__getattr__`. A
    name of its own for each function, without the object that gave it that name, saves 4 to 5 % of a small step.
    """
    names: dict[str, Any] = getattr(function, "__globals__", {})
    names.update({name: value.func for name, value in names.items() if isinstance(value, partial)})


@cache
def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function with the attributes by which torch.fx refers to it in code; it can't be given them itself."""
    named: Any = partial(function)
    named.__name__, named.__module__ = name, __name__
    result: Callable[..., Any] = named
    return result


def end_allocation_to_pool(device_index: int, pool: tuple[int, int]) -> None:
    """End the allocation of GPU memory to the pool of a graph whose capture failed.

    torch leaves it open in that case, and later tensors would go to the pool. Does nothing where it is not open, or
    where torch does not have this function.
    """
    end = getattr(torch._C, "_cuda_endAllocateToPool", None)
    if end is not None:
        with suppress(RuntimeError):
            end(device_index, pool)


def has_hooks(modules: Iterable[nn.Module]) -> bool:
    """Whether one of the modules, or all modules everywhere, have hooks that torch calls in a forward or backward pass.

    Where these attributes are gone the answer is yes, because hooks could be anywhere.
    """
    global_hooks = getattr(torch.nn.modules.module, "_has_any_global_hook", lambda: True)
    return bool(global_hooks()) or any(getattr(module, name, True) for module in modules for name in _HOOKS)
