"""Builds an optimizer by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ptrun.errors import ConfigError
from ptrun.optim import adaptive, gradient_descent
from ptrun.registry import optimizers

MODULES = (adaptive, gradient_descent)  # importing them registers their functions


def build_optimizer(name: str, settings: Mapping[str, Any], model: nn.Module) -> Optimizer:
    """Return the optimizer called `name` over the parameters of `model`, frozen ones included.

    A registered function takes the model and its keyword-only settings and returns the optimizer.
    Raises ConfigError for a setting that torch refuses and for a model that the optimizer can't train.
    """
    if next(model.parameters(), None) is None:
        raise ConfigError(f"optimizer: the model has no parameters, so there is nothing for '{name}' to train.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    optimizer = optimizers.build(name, values, model)
    if not isinstance(optimizer, Optimizer):
        raise optimizers.wrong_result(name, optimizer)
    return optimizer


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether `step` needs a function that computes loss and gradients again (only L-BFGS does)."""
    return isinstance(optimizer, torch.optim.LBFGS)
