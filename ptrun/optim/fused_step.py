"""Takes an optimizer step by calling torch's fused kernels directly, on lists that are prepared once.

`Optimizer.step` looks up state, sorts tensors by device and opens profiler ranges at every step, although none of that
changes between two steps; for a small model this takes longer than the arithmetic. The kernels and the state are those
of `torch.optim` with `fused=True`, and so is every bit of the result.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer
from torch.optim import optimizer as torch_optimizer

from ptrun.device.capabilities import FUSED_OPTIMIZER_DEVICES
from ptrun.optim.combined_optimizer import CombinedOptimizer

Group = dict[str, Any]
Step = Callable[[], None]

_KERNELS = ("_fused_sgd_", "_fused_adam_", "_fused_adamw_", "_fused_adagrad_", "_foreach_add_")  # private to torch
_UNUSUAL = ("maximize", "capturable", "differentiable")  # settings of a group that the launches below do not have


def use_fused(optimizer: Optimizer, model: nn.Module) -> bool:
    """Switch an optimizer to fused kernels where torch has them; return whether it, or a member of it, was switched."""
    members = optimizer.members if isinstance(optimizer, CombinedOptimizer) else (optimizer,)
    switched = [_use_fused(member, model) for member in members]
    return any(switched)


def _use_fused(optimizer: Optimizer, model: nn.Module) -> bool:
    if type(optimizer) not in _PREPARE or any(getattr(module, "sparse", False) for module in model.modules()):
        return False
    devices = {"cpu"} if isinstance(optimizer, Adagrad) else FUSED_OPTIMIZER_DEVICES
    for group in optimizer.param_groups:
        if any(p.device.type not in devices or not p.is_floating_point() for p in group["params"]):
            return False
    for group in optimizer.param_groups:
        group.update(fused=True, foreach=False)
    return True


def fused_step(optimizer: Optimizer) -> Callable[[], object]:
    """Return a function that takes one optimizer step.

    It calls the kernels itself, without a function in between. It keeps the lists of parameters and state, and all
    settings but the learning rate, which schedules change: make a new one for each epoch and after loading a state.
    Where an optimizer has no kernel, no state yet (before its first step), or a parameter has no gradient, the
    optimizer's own `step` is called instead.
    """
    members = [_Member(member) for member in _members(optimizer)]
    if len(members) == 1 and not members[0].has_kernel:
        return members[0].whole_step
    no_grad, unchanged = torch.no_grad(), nullcontext()

    def take_step() -> None:
        for member in members:
            ready = member.ready_launches()
            if ready is None:
                member.whole_step()
                continue
            # Entering `no_grad` takes a sixth of an SGD step on four tensors, and a captured step runs under it anyway.
            with no_grad if torch.is_grad_enabled() else unchanged:
                for (kernel, group, tensors, state, counters), gradients in ready:
                    if counters:
                        torch._foreach_add_(counters, 1)
                    kernel(tensors, gradients, *state, lr=group["lr"])

    return take_step


def unwrapped_step(optimizer: Optimizer) -> Callable[[], object]:
    """Return the `step` of an optimizer of torch without its wrappers, which import torch's compiler (1 to 2 s).

    Optimizers that are not torch's, and those with hooks, keep their wrappers.
    """
    is_of_torch = type(optimizer).__module__.startswith("torch.optim.")
    if not is_of_torch or _has_hooks(optimizer) or any(g.get("differentiable") for g in optimizer.param_groups):
        return optimizer.step
    step = inspect.unwrap(type(optimizer).step)
    return torch.no_grad()(partial(step, optimizer))


def _members(optimizer: Optimizer) -> tuple[Optimizer, ...]:
    """The optimizers to step one after the other; hooks of a combined one need its own `step`."""
    if isinstance(optimizer, CombinedOptimizer) and not _has_hooks(optimizer):
        return optimizer.members
    return (optimizer,)


def _has_hooks(optimizer: Optimizer) -> bool:
    """Whether `step` has hooks to call. Where torch no longer has these private attributes, assume that it has."""
    hooks = [getattr(optimizer, f"_optimizer_step_{when}_hooks", None) for when in ("pre", "post")]
    hooks += [getattr(torch_optimizer, f"_global_optimizer_{when}_hooks", None) for when in ("pre", "post")]
    return any(of_kind is None or len(of_kind) > 0 for of_kind in hooks)


class _Launch(NamedTuple):
    """One call of a kernel, for one parameter group: all arguments but the gradients and the learning rate."""

    kernel: partial[None]  # with the settings of the group that do not change
    group: Group
    parameters: list[Tensor]
    state: tuple[list[Tensor], ...]  # in the kernel's order
    counters: list[Tensor]  # of steps, one for each parameter: the kernels read but do not increment them


class _Member:
    """One optimizer and its launches, empty until its state exists."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.whole_step = unwrapped_step(optimizer)
        self._launches: list[_Launch] = []
        self._optimizer = optimizer
        self.has_kernel = _has_kernel(optimizer)

    def ready_launches(self) -> list[tuple[_Launch, list[Tensor]]] | None:
        """The launches with the gradients of their parameters; None when the whole step is needed."""
        if not self._launches:
            self._launches = self._prepared() if self.has_kernel else []
        if not self._launches:
            return None
        ready = []
        for launch in self._launches:
            gradients = [p.grad for p in launch.parameters if p.grad is not None]
            if len(gradients) < len(launch.parameters):
                return None
            ready.append((launch, gradients))
        return ready

    def _prepared(self) -> list[_Launch]:
        prepare = _PREPARE[type(self._optimizer)]
        launches = []
        for group in self._optimizer.param_groups:
            parameters = [p for p in group["params"] if p.requires_grad]
            if not all(self._has_state(group, parameter) for parameter in parameters):
                return []
            if len({(p.device, p.dtype) for p in parameters}) > 1:  # a kernel takes one kind of tensors
                return []
            if parameters:
                launches.append(prepare(group, parameters, [self._optimizer.state.get(p, {}) for p in parameters]))
        return launches

    def _has_state(self, group: Group, parameter: Tensor) -> bool:
        is_sgd = type(self._optimizer) is SGD
        if is_sgd and not group["momentum"]:
            return True
        needed = "momentum_buffer" if is_sgd else "step"
        return isinstance(self._optimizer.state.get(parameter, {}).get(needed), Tensor)


def _has_kernel(optimizer: Optimizer) -> bool:
    return (
        type(optimizer) in _PREPARE
        and not _has_hooks(optimizer)
        and all(group.get("fused") and not any(group.get(key) for key in _UNUSUAL) for group in optimizer.param_groups)
        and all(hasattr(torch, name) for name in _KERNELS)
    )


def _sgd(group: Group, parameters: list[Tensor], states: list[dict[str, Any]]) -> _Launch:
    buffers = [state["momentum_buffer"] for state in states] if group["momentum"] else []
    settings = {key: group[key] for key in ("weight_decay", "momentum", "dampening", "nesterov")}
    settings |= {"maximize": False, "is_first_step": False}
    return _Launch(partial(torch._fused_sgd_, **settings), group, parameters, (buffers,), [])


def _adam(group: Group, parameters: list[Tensor], states: list[dict[str, Any]]) -> _Launch:
    kernel: Any = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
    averages, squares, counters = ([state[key] for state in states] for key in ("exp_avg", "exp_avg_sq", "step"))
    largest = [state["max_exp_avg_sq"] for state in states] if group["amsgrad"] else []
    settings = {key: group[key] for key in ("amsgrad", "weight_decay", "eps")}
    beta1, beta2 = group["betas"]
    settings |= {"beta1": beta1, "beta2": beta2, "maximize": False}
    return _Launch(partial(kernel, **settings), group, parameters, (averages, squares, largest, counters), counters)


def _adagrad(group: Group, parameters: list[Tensor], states: list[dict[str, Any]]) -> _Launch:
    kernel: Any = torch._fused_adagrad_
    sums, counters = ([state[key] for state in states] for key in ("sum", "step"))
    settings = {key: group[key] for key in ("lr_decay", "weight_decay", "eps")} | {"maximize": False}
    return _Launch(partial(kernel, **settings), group, parameters, (sums, counters), counters)


_PREPARE: dict[type[Optimizer], Callable[[Group, list[Tensor], list[dict[str, Any]]], _Launch]] = {
    SGD: _sgd,
    Adam: _adam,
    AdamW: _adam,
    Adagrad: _adagrad,
}
