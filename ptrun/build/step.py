"""Chooses the variant of the optimizer step that a run needs, and refuses settings that do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from ptrun.config.auto import Decision
from ptrun.config.run_config import RunConfig
from ptrun.data.loading.loader import Loader
from ptrun.device.capabilities import has_graphs
from ptrun.device.runtime import Runtime
from ptrun.engine.batch_norm import explain_batch_norm
from ptrun.engine.capture.captured_step import CapturedStep, capture_step
from ptrun.engine.capture.cuda_graph import GraphedStep
from ptrun.engine.nonfinite import NonFinitePolicy, RollBack, SkipStep, TakeEveryStep
from ptrun.engine.step import (
    Autograd,
    BatchesInParts,
    ClosureStep,
    Gradients,
    GuardedStep,
    PlainStep,
    TrainStep,
    WholeBatches,
)
from ptrun.errors import ConfigError
from ptrun.losses.shapes import Loss
from ptrun.optim.optimizers import needs_closure
from ptrun.optim.step import clipper, make_step


@dataclass(frozen=True)
class StepParts:
    """What a step works with; `input_shape` is that of one sample."""

    runtime: Runtime
    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    train: Loader
    input_shape: Sequence[int]


@dataclass(frozen=True)
class BuiltStep:
    """A step, where it rolls back to (None: it does not), and what was decided on the way."""

    step: TrainStep
    rollback: RollBack | None
    decisions: tuple[Decision, ...]


def build_step(config: RunConfig, parts: StepParts) -> BuiltStep:
    """Make the optimizer step of a run. Raises ConfigError for settings that exclude each other."""
    refuse_conflicts(config, parts)
    with explain_batch_norm(config.train.batch_size):  # to capture a step runs the model
        gradients, decisions = build_gradients(config, parts)
    runtime, model, optimizer, train = parts.runtime, parts.model, parts.optimizer, config.train
    clip = clipper(model.parameters(), train.clip_norm, train.clip_value)
    if needs_closure(optimizer):
        return BuiltStep(ClosureStep(gradients, optimizer, clip, runtime), None, decisions)
    make_update = partial(make_step, optimizer, clip, runtime.scaler)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if train.on_nonfinite == "stop" and train.on_oom == "stop":
        return BuiltStep(PlainStep(gradients, make_update, parameters, runtime), None, decisions)
    policy = build_policy(config, parts)
    accumulate = (
        BatchesInParts(gradients, model, runtime) if train.on_oom == "halve" else WholeBatches(gradients, runtime)
    )
    rollback = policy if isinstance(policy, RollBack) else None
    return BuiltStep(GuardedStep(accumulate, policy, make_update, parameters), rollback, decisions)


def build_gradients(config: RunConfig, parts: StepParts) -> tuple[Gradients, tuple[Decision, ...]]:
    """How loss and gradients are computed: captured where that is wanted and possible, else by autograd."""
    sampler, targets = parts.train.sampler, parts.train.split.targets
    captured, decisions = capture_step(
        parts.runtime,
        parts.model,
        parts.loss,
        targets[: sampler.size(0)],
        parts.input_shape,
        {sampler.size(0), sampler.size(len(sampler) - 1)},
        requested=config.device.settings["compile"],
        make=GraphedStep if has_graphs(parts.runtime.device) else CapturedStep,
    )
    return captured or Autograd(parts.model, parts.loss, parts.runtime), tuple(decisions)


def build_policy(config: RunConfig, parts: StepParts) -> NonFinitePolicy:
    """What happens to a step whose numbers are non-finite."""
    mode = config.train.on_nonfinite
    if mode == "skip":
        return SkipStep(parts.model, scaled=parts.runtime.scaler is not None)
    return RollBack(parts.model) if mode == "rollback" else TakeEveryStep()


def refuse_conflicts(config: RunConfig, parts: StepParts) -> None:
    """Raise ConfigError for settings of the step that exclude each other."""
    closure, optimizer = needs_closure(parts.optimizer), config.optimizer.name
    mode = config.train.on_nonfinite
    if parts.runtime.scaler is not None and closure:
        raise ConfigError(
            f"device.precision: fp16 scales gradients, which optimizer '{optimizer}' can't be used with. "
            "Use fp32 or bf16."
        )
    if parts.runtime.scaler is not None and parts.runtime.compile == "step":
        raise ConfigError(
            "device.compile: 'step' can't be used with device.precision=fp16, which scales gradients. Use fp32 or bf16."
        )
    if closure and config.train.on_oom == "halve":
        raise ConfigError(
            f"train.on_oom: 'halve' can't be used with optimizer '{optimizer}', which computes the gradient itself. "
            "Use stop."
        )
    if closure and mode != "stop":
        raise ConfigError(
            f"train.on_nonfinite: '{mode}' can't be used with optimizer '{optimizer}', whose step can't be undone. "
            "Use stop."
        )
    if mode == "rollback" and config.checkpoint.name == "none":
        raise ConfigError("train.on_nonfinite: 'rollback' returns to a checkpoint, but checkpoint=none saves none.")
