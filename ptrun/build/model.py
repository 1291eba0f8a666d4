"""Builds the model, its moving average, the loss and the test-time views from the configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
from ptrun.models.weights.match import Loaded, head_of, match_weights
from ptrun.models.weights.stored import load_weights_file
from ptrun.spec import DataSpec

_WARMUP_UPDATES = 100  # after these, next to nothing of the first weights is left in an average with warm-up
_NOTED_SHARE = 0.05  # of the first weights in the average: it changes results by then


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
    if not isinstance(model, nn.Module):
        raise registry.models.wrong_result(config.model.name, model)
    return model


def load_start_weights(config: RunConfig, model: nn.Module, spec: DataSpec) -> Loaded:
    """Load the file of the setting `weights` into a new model. Raises CheckpointError when it does not fit."""
    assert config.weights is not None
    stored = load_weights_file(config.weights, "weights")
    head = getattr(model, "head_name", "") or head_of(model, spec.num_outputs)
    return match_weights(model, stored, head=head, spec=spec)


def build_ema(model: nn.Module, decay: float | None, *, warmup: bool) -> torch.optim.swa_utils.AveragedModel | None:
    """A copy of the model whose weights are an exponential moving average; None without a decay.

    warmup: begin with a short average, which grows to the one of `decay` (`average_decay`).
    """
    if decay is None:
        return None
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    if not warmup:
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]
    average = AveragedModel(model)
    average.multi_avg_fn = partial(_average, average.n_averaged, decay)
    return average


@torch.no_grad()
def _average(
    num_averaged: Tensor, decay: float, averages: Sequence[Tensor], weights: Sequence[Tensor], on_device: Tensor | int
) -> None:
    """Move each average towards the current weights.

    num_averaged: the steps in the average so far, on the CPU; that of `on_device`, which torch passes, is waited for.
    """
    share = 1 - average_decay(int(num_averaged), decay)
    if averages[0].is_floating_point() or averages[0].is_complex():
        torch._foreach_lerp_(list(averages), list(weights), share)
        return
    for average, weight in zip(averages, weights, strict=True):
        average.copy_(average * (1 - share) + weight * share)


def average_decay(update: int, decay: float) -> float:
    """The decay of update n of an average with warm-up: min(decay, (1 + n) / (10 + n)), as in TensorFlow and timm."""
    return min(decay, (1 + update) / (10 + update))


def average_notes(decay: float | None, total_steps: int, *, warmup: bool) -> tuple[str, ...]:
    """A sentence when the moving average is longer than the training, so that the first weights stay in it."""
    if decay is None or total_steps == 1:
        return ()
    first_share = _share_of_first_weights(decay, total_steps, warmup)
    if first_share < _NOTED_SHARE:
        return ()
    note = (
        f"train.ema_decay={decay:g} averages over more steps than the {total_steps:,} of this training: "
        f"{first_share:.0%} of the averaged weights, which are evaluated, are those of the first step. Try a smaller "
        f"one, such as {_decay_for(total_steps):g}."
    )
    return (note,)


def _share_of_first_weights(decay: float, total_steps: int, warmup: bool) -> float:
    """The first step's weights are copied into the average, and each later step keeps a part of them."""
    if not warmup:
        return decay ** (total_steps - 1)
    warming = min(total_steps, _WARMUP_UPDATES)
    share = math.prod(average_decay(update, decay) for update in range(1, warming))
    return float(share * decay ** (total_steps - warming))


def _decay_for(total_steps: int) -> float:
    """The decay whose average spans about a tenth of the training, as a short number."""
    return max(0.5, 1 - float(f"{10 / total_steps:.1g}"))


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
