"""Adagrad, Adam and their relatives: optimizers that scale the step of each weight by its past gradients.

Settings and defaults are those of torch.optim; settings that only choose an implementation (foreach, fused, capturable)
are left out. `no_decay_norm_bias` is described in `parameter_groups`.
"""

from __future__ import annotations

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
def adadelta(
    model: nn.Module,
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Adagrad over a window of steps (Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012)."""
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(torch.optim.Adadelta, groups, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)


@optimizers.register
def adafactor(
    model: nn.Module,
    *,
    lr: float = 0.01,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 0.001),
    d: float = 1.0,
    weight_decay: float = 0.0,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Adam that stores second moments as rows and columns (Shazeer & Stern, Adafactor: Adaptive Learning Rates with
    Sublinear Memory Cost, 2018).
    """
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(
        torch.optim.Adafactor, groups, lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay
    )


@optimizers.register
def adagrad(
    model: nn.Module,
    *,
    lr: float = 0.01,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Steps scaled by the sum of squared gradients (Duchi, Hazan & Singer, Adaptive Subgradient Methods, 2011)."""
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(
        torch.optim.Adagrad,
        groups,
        lr=lr,
        lr_decay=lr_decay,
        weight_decay=weight_decay,
        initial_accumulator_value=initial_accumulator_value,
        eps=eps,
    )


@optimizers.register
def adam(
    model: nn.Module,
    *,
    lr: float = 0.001,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    decoupled_weight_decay: bool = False,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Steps scaled by running moments of the gradient (Kingma & Ba, Adam, 2015; AMSGrad: Reddi et al., 2018)."""
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(
        torch.optim.Adam,
        groups,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        decoupled_weight_decay=decoupled_weight_decay,
    )


@optimizers.register
def adamax(
    model: nn.Module,
    *,
    lr: float = 0.002,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Adam with the infinity norm (Kingma & Ba, Adam, 2015, section 7.1)."""
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(torch.optim.Adamax, groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


@optimizers.register
def adamw(
    model: nn.Module,
    *,
    lr: float = 0.001,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    amsgrad: bool = False,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019)."""
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(torch.optim.AdamW, groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)


@optimizers.register
def nadam(
    model: nn.Module,
    *,
    lr: float = 0.002,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 0.004,
    decoupled_weight_decay: bool = False,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Adam with Nesterov momentum (Dozat, Incorporating Nesterov Momentum into Adam, 2016)."""
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(
        torch.optim.NAdam,
        groups,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        momentum_decay=momentum_decay,
        decoupled_weight_decay=decoupled_weight_decay,
    )


@optimizers.register
def radam(
    model: nn.Module,
    *,
    lr: float = 0.001,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Adam that needs no warm-up (Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2020)."""
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(
        torch.optim.RAdam,
        groups,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        decoupled_weight_decay=decoupled_weight_decay,
    )


@optimizers.register
def rmsprop(
    model: nn.Module,
    *,
    lr: float = 0.01,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    no_decay_norm_bias: bool = False,
) -> Optimizer:
    """Steps scaled by the running root mean square of the gradient (Tieleman & Hinton, lecture 6.5, 2012).

    With `centered`, by its running standard deviation (Graves, Generating Sequences, 2013).
    """
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, no_decay_norm_bias=no_decay_norm_bias)
    return construct(
        torch.optim.RMSprop,
        groups,
        lr=lr,
        alpha=alpha,
        eps=eps,
        weight_decay=weight_decay,
        momentum=momentum,
        centered=centered,
    )


@optimizers.register
def sparse_adam(model: nn.Module, *, lr: float = 0.001, betas: Pair = (0.9, 0.999), eps: float = 1e-8) -> Optimizer:
    """SparseAdam for embeddings made with sparse=True, Adam (Kingma & Ba, 2015) with the same settings for the rest."""
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag) and m.sparse]
    sparse, dense = split_groups(parameter_groups(model, lr=lr), {id(table.weight) for table in tables})
    if not sparse:
        raise ConfigError(
            "optimizer: 'sparse_adam' is for models with nn.Embedding(..., sparse=True), but this model has none. "
            "Use optimizer=adam instead."
        )
    sparse_optimizer = construct(torch.optim.SparseAdam, sparse, lr=lr, betas=betas, eps=eps)
    if not dense:
        return sparse_optimizer
    return CombinedOptimizer(sparse_optimizer, construct(torch.optim.Adam, dense, lr=lr, betas=betas, eps=eps))
