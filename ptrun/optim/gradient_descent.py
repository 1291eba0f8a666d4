"""Gradient descent and what is built on it: averaging (ASGD), signs (Rprop), matrices (Muon), curvature (L-BFGS).

Settings and defaults are those of torch.optim; settings that only choose an implementation (foreach, fused, capturable)
are left out. `no_decay_norm_bias` is described in `parameter_groups`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ptrun.errors import ConfigError
from ptrun.optim.combined_optimizer import CombinedOptimizer
from ptrun.optim.construct import construct
from ptrun.optim.parameter_groups import parameter_groups, split_groups
from ptrun.registry import optimizers

Pair = tuple[float, float]


@optimizers.register
def sgd(
    model: nn.Module,
    *,
    lr: float = 0.01,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Stochastic gradient descent, with momentum if set (Sutskever et al., On the Importance of Initialization and
    Momentum in Deep Learning, 2013).
    """
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(
        torch.optim.SGD,
        groups,
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
        nesterov=nesterov,
    )


@optimizers.register
def asgd(
    model: nn.Module,
    *,
    lr: float = 0.01,
    lambd: float = 0.0001,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0.0,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """SGD that averages its weights (Polyak & Juditsky, Acceleration of Stochastic Approximation, 1992)."""
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(torch.optim.ASGD, groups, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay)


@optimizers.register
def rprop(model: nn.Module, *, lr: float = 0.01, etas: Pair = (0.5, 1.2), step_sizes: Pair = (1e-6, 50.0)) -> Optimizer:
    """Steps that follow only the sign of the gradient (Riedmiller & Braun, The RPROP Algorithm, 1993)."""
    groups = parameter_groups(model, lr=lr)
    return construct(torch.optim.Rprop, groups, lr=lr, etas=etas, step_sizes=step_sizes)


@optimizers.register
def muon(
    model: nn.Module,
    *,
    lr: float = 0.02,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
    adamw_lr: float = 0.001,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Orthogonalized momentum for matrices (Jordan et al., Muon, 2024), AdamW for all other parameters.

    torch's documentation recommends AdamW for convolutions, biases and norm layers.
    """
    matrices = {id(p) for p in model.parameters() if p.dim() == 2}
    if not matrices:
        raise ConfigError("optimizer: 'muon' trains 2-D weights, but this model has none. Use optimizer=adamw instead.")
    decay: dict[str, Any] = {"weight_decay": weight_decay, "no_decay_norm_bias": no_decay_norm_bias}
    muon_groups, _ = split_groups(parameter_groups(model, lr=lr, **decay), matrices)
    _, adamw_groups = split_groups(parameter_groups(model, lr=adamw_lr, **decay), matrices)
    matrix_optimizer = construct(
        torch.optim.Muon,
        muon_groups,
        lr=lr,
        weight_decay=weight_decay,
        momentum=momentum,
        nesterov=nesterov,
        ns_coefficients=ns_coefficients,
        eps=eps,
        ns_steps=ns_steps,
        adjust_lr_fn=adjust_lr_fn,
    )
    if not adamw_groups:
        return matrix_optimizer
    rest = construct(torch.optim.AdamW, adamw_groups, lr=adamw_lr, weight_decay=weight_decay)
    return CombinedOptimizer(matrix_optimizer, rest)


@optimizers.register
def lbfgs(
    model: nn.Module,
    *,
    lr: float = 1.0,
    max_iter: int = 20,
    max_eval: int | None = None,
    tolerance_grad: float = 1e-7,
    tolerance_change: float = 1e-9,
    history_size: int = 100,
    line_search_fn: str | None = None,
) -> Optimizer:
    """Limited-memory BFGS (Liu & Nocedal, On the Limited Memory BFGS Method for Large Scale Optimization, 1989)."""
    groups = parameter_groups(model, lr=lr)
    if any(isinstance(group, dict) for group in groups):
        raise ConfigError(
            "optimizer: 'lbfgs' has one learning rate for all parameters, but the model sets several (for example one "
            "for its backbone). Choose another optimizer, or make the learning rates equal."
        )
    return construct(
        torch.optim.LBFGS,
        groups,
        lr=lr,
        max_iter=max_iter,
        max_eval=max_eval,
        tolerance_grad=tolerance_grad,
        tolerance_change=tolerance_change,
        history_size=history_size,
        line_search_fn=line_search_fn,
    )
