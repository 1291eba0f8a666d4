"""Chooses how an optimizer step is computed, and refuses settings that do not go together."""

from __future__ import annotations

from ptrun.config.auto import Decision
from ptrun.config.run_config import RunConfig
from ptrun.data.loading.loader import Loader
from ptrun.device.runtime import Runtime
from ptrun.engine.capture.captured_step import CapturedStep
from ptrun.engine.capture.captured_step import capture_step
from ptrun.losses.shapes import Loss
from ptrun.engine.nonfinite import Guard
from ptrun.errors import ConfigError
from ptrun.spec import DataSpec
from torch import nn


def build_captured_step(
    config: RunConfig, runtime: Runtime, model: nn.Module, loss: Loss, train: Loader, spec: DataSpec
) -> tuple[CapturedStep | None, list[Decision]]:
    sampler, asked = train.sampler, config.device.settings["compile"]
    sizes = {sampler.size(0), sampler.size(len(sampler) - 1)}
    return capture_step(runtime, model, loss, train.split.targets[: sampler.size(0)], spec.input_shape, sizes, asked=asked)


def check_fp16(config: RunConfig, runtime: Runtime, needs_closure: bool) -> None:
    if runtime.scaler is None:
        return
    if needs_closure:
        raise ConfigError(
            f"device.precision: fp16 scales gradients, which optimizer '{config.optimizer.name}' can't be used with. Use fp32 or bf16."
        )
    if runtime.compile == "step":
        raise ConfigError(
            "device.compile: 'step' can't be used with device.precision=fp16, which scales gradients. Use fp32 or bf16."
        )


def build_nonfinite_policy(config: RunConfig, runtime: Runtime, model: nn.Module, needs_closure: bool) -> Guard | None:
    """What looks at every step for numbers that are not finite, when that is asked for. Raises ConfigError."""
    mode = config.train.on_nonfinite
    if needs_closure and config.train.on_oom == "halve":
        raise ConfigError(
            f"train.on_oom: 'halve' can't be used with optimizer '{config.optimizer.name}', which computes the gradient itself. Use stop."
        )
    if mode == "stop":
        return None
    if needs_closure:
        raise ConfigError(
            f"train.on_nonfinite: '{mode}' can't be used with optimizer '{config.optimizer.name}', whose step can't be undone. Use stop."
        )
    if mode == "rollback" and config.checkpoint.name == "none":
        raise ConfigError("train.on_nonfinite: 'rollback' returns to a checkpoint, but checkpoint=none saves none.")
    return Guard(model, rolls_back=mode == "rollback", scaled=runtime.scaler is not None)
