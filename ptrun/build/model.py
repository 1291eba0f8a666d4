"""Builds the model, its moving average, the loss and the test-time views from the configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ptrun import registry
from ptrun.build.data import Prepared
from ptrun.config import compatibility
from ptrun.config.run_config import RunConfig
from ptrun.device.random_state import seed_everything
from ptrun.device.runtime import Runtime
from ptrun.errors import ConfigError
from ptrun.evaluation import test_time_augmentation
from ptrun.losses import build
from ptrun.spec import DataSpec


def build_model(config: RunConfig, spec: DataSpec, **runtime_values: Any) -> nn.Module:
    """Make the model; the seed decides its initial weights. Raises ConfigError.

    runtime_values, for models with such a keyword: `restoring`, when the weights of a checkpoint come next, so that no
    file of pretrained weights is needed; `sample_inputs`, a function from a count to training inputs, for models that
    start from the data.
    """
    seed_everything(config.seed)
    try:
        model = registry.models.build(config.model.name, config.model.settings, spec, **runtime_values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"model: '{config.model.name}' can't be made for input {list(spec.input_shape)} with these settings: "
            f"{error}"
        ) from error
    assert isinstance(model, nn.Module)
    return model


def build_ema(model: nn.Module, decay: float | None) -> torch.optim.swa_utils.AveragedModel | None:
    """A copy of the model whose weights are an exponential moving average; None without a decay."""
    if decay is None:
        return None
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def build_loss(config: RunConfig, prepared: Prepared, runtime: Runtime) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss, on the device."""
    if prepared.pipelines.train is not None and prepared.pipelines.train.mixes:
        build.require_probability_targets(config.loss.name, prepared.spec)
    counts = None if prepared.class_counts is None else torch.tensor(prepared.class_counts)
    loss = build.build_loss(config.loss.name, config.loss.settings, prepared.spec, counts)
    return loss.to(runtime.device) if isinstance(loss, nn.Module) else loss


def build_views(config: RunConfig, spec: DataSpec) -> Callable[[nn.Module], nn.Module]:
    """A function from a model to the model as evaluation uses it. Raises ConfigError for views of what is no image."""
    problem = compatibility.views_problem(config.train.eval_views, (spec.layout,))
    if problem:
        raise ConfigError(problem)
    return partial(test_time_augmentation.averaged, views=config.train.eval_views)
