"""One optimizer step by torch's fused kernels, called on lists that are kept between steps.

Invariant: the state is the optimizer's own and the arithmetic that of `torch.optim` with `fused=True`, bit for bit;
whatever the kernels can't take is left to `optimizer.step()`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer

Group = dict[str, Any]
Launch = Callable[[], None]
Prepare = Callable[[Optimizer, Group, list[Tensor]], Callable[[list[Tensor]], None]]


def use_fused(optimizer: Optimizer, model: nn.Module) -> bool:
    """Switch an optimizer, or those that it is made of, to fused kernels where torch has them; say whether any was."""
    switched = [_switch(each, model) for each in getattr(optimizer, "members", (optimizer,))]
    return any(switched)


def _switch(optimizer: Optimizer, model: nn.Module) -> bool:
    if type(optimizer) not in _PREPARE or any(getattr(module, "sparse", False) for module in model.modules()):
        return False
    devices = {"cpu"} if isinstance(optimizer, Adagrad) else {"cpu", "cuda"}
    for group in optimizer.param_groups:
        if any(p.device.type not in devices or not p.is_floating_point() for p in group["params"]):
            return False
    for group in optimizer.param_groups:
        group.update(fused=True, foreach=False)
    return True


def fused_step(optimizer: Optimizer) -> Launch:
    """Return a function that takes one optimizer step and clears the gradients; to be made anew for each epoch.

    torch's own `step` spends more time on bookkeeping than a small model on its arithmetic (profiler ranges, sorting
    by device, state look-ups): none of that changes between two steps. The first call goes through it all the same,
    so that the state exists.
    """
    members = getattr(optimizer, "members", (optimizer,))
    steps = [_FusedStep(each) if _is_plain(each) else unwrapped_step(each) for each in members]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    first, rest = steps[0], steps[1:]

    def step() -> None:
        first()
        for other in rest:
            other()
        for parameter in parameters:
            parameter.grad = None

    return step


def unwrapped_step(optimizer: Optimizer) -> Launch:
    """The `step` of an optimizer of torch without the wrappers around it, which import torch's compiler; else its own."""
    step = inspect.unwrap(type(optimizer).step)
    if not type(optimizer).__module__.startswith("torch.optim.") or _is_hooked(optimizer):
        return optimizer.step
    if any(group.get("differentiable") for group in optimizer.param_groups):
        return optimizer.step
    return torch.no_grad()(partial(step, optimizer))


def _is_hooked(optimizer: Optimizer) -> bool:
    return any(getattr(optimizer, f"_optimizer_step_{when}_hooks", None) for when in ("pre", "post"))


def _is_plain(optimizer: Optimizer) -> bool:
    unusual = ("maximize", "capturable", "differentiable")
    return (
        type(optimizer) in _PREPARE
        and not _is_hooked(optimizer)
        and all(group.get("fused") and not any(group.get(key) for key in unusual) for group in optimizer.param_groups)
        and all(hasattr(torch, name) for name in _KERNELS)
    )


class _FusedStep:
    """The steps of one optimizer between two looks at its state."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer, self._whole_step = optimizer, unwrapped_step(optimizer)
        self._parts: list[tuple[list[Tensor], Callable[[list[Tensor]], None]]] | None = None

    def __call__(self) -> None:
        if torch.is_grad_enabled():
            with torch.no_grad():
                self._take()
        else:
            self._take()

    def _take(self) -> None:
        if self._parts is None:
            self._parts = self._prepared()
        if self._parts is None:
            self._whole_step()
            return
        collected: list[list[Tensor]] = []
        for parameters, _ in self._parts:
            gradients = [p.grad for p in parameters if p.grad is not None]
            if len(gradients) < len(parameters):
                self._whole_step()
                return
            collected.append(gradients)
        for (_, launch), gradients in zip(self._parts, collected, strict=True):
            launch(gradients)

    def _prepared(self) -> list[tuple[list[Tensor], Callable[[list[Tensor]], None]]] | None:
        """The lists, or None while a parameter that is trained had no gradient: it has no state yet."""
        parts = []
        for group in self._optimizer.param_groups:
            parameters = [p for p in group["params"] if p.requires_grad]
            if any(p.grad is None for p in parameters) or not self._has_state(group, parameters):
                return None
            if parameters:
                parts.append((parameters, _PREPARE[type(self._optimizer)](self._optimizer, group, parameters)))
        return parts

    def _has_state(self, group: Group, parameters: list[Tensor]) -> bool:
        if type(self._optimizer) is SGD and not group["momentum"]:
            return True
        needed = "momentum_buffer" if type(self._optimizer) is SGD else "step"
        states = self._optimizer.state
        return all(p in states and isinstance(states[p].get(needed), Tensor) for p in parameters)


def _sgd(optimizer: Optimizer, group: Group, parameters: list[Tensor]) -> Callable[[list[Tensor]], None]:
    kernel = torch._fused_sgd_
    buffers = [optimizer.state[p]["momentum_buffer"] for p in parameters] if group["momentum"] else []

    def launch(gradients: list[Tensor]) -> None:
        kernel(
            parameters,
            gradients,
            buffers,
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=False,
            is_first_step=False,
        )

    return launch


def _adam(optimizer: Optimizer, group: Group, parameters: list[Tensor]) -> Callable[[list[Tensor]], None]:
    kernel: Any = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
    states = [optimizer.state[p] for p in parameters]
    averages, squares, steps = ([s[key] for s in states] for key in ("exp_avg", "exp_avg_sq", "step"))
    largest = [s["max_exp_avg_sq"] for s in states] if group["amsgrad"] else []

    def launch(gradients: list[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        torch._foreach_add_(steps, 1)
        kernel(
            parameters,
            gradients,
            averages,
            squares,
            largest,
            steps,
            amsgrad=group["amsgrad"],
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    return launch


def _adagrad(optimizer: Optimizer, group: Group, parameters: list[Tensor]) -> Callable[[list[Tensor]], None]:
    kernel: Any = torch._fused_adagrad_
    states = [optimizer.state[p] for p in parameters]
    sums, steps = ([s[key] for s in states] for key in ("sum", "step"))

    def launch(gradients: list[Tensor]) -> None:
        torch._foreach_add_(steps, 1)
        kernel(
            parameters,
            gradients,
            sums,
            steps,
            lr=group["lr"],
            lr_decay=group["lr_decay"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    return launch


_PREPARE: dict[type[Optimizer], Prepare] = {SGD: _sgd, Adam: _adam, AdamW: _adam, Adagrad: _adagrad}
_KERNELS = ("_fused_sgd_", "_fused_adam_", "_fused_adamw_", "_fused_adagrad_", "_foreach_add_")
