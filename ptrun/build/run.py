"""The composition root: RunConfig → built parts, in one fixed order. The only reader of configuration values.

runtime → dataset (gives the spec) → pipelines → model(spec) → placed → loss(spec) → optimizer → schedule → batches → metrics
Invariant: the global random state is seeded just before the model is made and nothing but the model draws from it until training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ptrun import catalog
from ptrun import registry
from ptrun.build.auto import check_pair
from ptrun.build.auto import resolve_auto
from ptrun.build.batches import eval_batches
from ptrun.build.batches import training_batches
from ptrun.build.data import Prepared
from ptrun.build.data import prepare
from ptrun.build.evaluation import build_validation_metrics
from ptrun.build.model import build_ema
from ptrun.build.model import build_loss
from ptrun.build.model import build_model
from ptrun.build.model import build_views
from ptrun.build.optimizer import build_schedule
from ptrun.build.step import build_captured_step
from ptrun.build.step import build_nonfinite_policy
from ptrun.build.step import check_fp16
from ptrun.config.auto import Decision
from ptrun.config.run_config import Component
from ptrun.config.run_config import RunConfig
from ptrun.data.loading.image_cache import ProgressCallback
from ptrun.data.loading.loader import Loader
from ptrun.data.splits import Split
from ptrun.device.auto import settle
from ptrun.device.choose import make_runtime
from ptrun.device.runtime import Runtime
from ptrun.engine.context import TrainContext
from ptrun.loggers.logger import Logger
from ptrun.optim import optimizers
from ptrun.optim.fused_step import use_fused
from ptrun.optim.step import clipper

assert catalog.MODULES  # importing it filled the registries


@dataclass(frozen=True)
class Run:
    """All parts of a training run."""

    config: RunConfig  # with every `auto` decided
    prepared: Prepared
    experiment: TrainContext
    test: Loader
    decisions: tuple[Decision, ...]
    facts: tuple[str, ...]
    undefined: Mapping[str, str]  # metrics that validation could not compute, with the reason; filled while training

    @property
    def splits(self) -> dict[str, Split]:
        """The three parts of the data by name."""
        data = self.prepared.data
        return {"train": data.train, "val": data.val, "test": data.test}


def build(
    config: RunConfig,
    folders: tuple[Path, ...] = (),
    chosen: Sequence[Decision] = (),
    tell: ProgressCallback | None = None,
) -> Run:
    """Build every part of a training run. Raises ConfigError, DataError, ResourceError or CheckpointError.

    config: without `auto` for model and transform (`choices.choose` decides these); `chosen` is what was decided there.
    tell: is told how far work is that takes its time.
    """
    tell = tell or (lambda doing, done, total: None)
    runtime = build_runtime(config)
    prepared = prepare(config, fitted=None)
    config, decisions = resolve_auto(config, prepared.spec, folders)
    check_pair(config, prepared.spec, folders)
    model = build_model(config, prepared.spec, sample_inputs=prepared.sample_inputs)
    runtime = settle(runtime, model, prepared.spec.input_shape, config.train.batch_size)
    model = runtime.place(model)
    ema = build_ema(model, config.train.ema_decay)
    loss = build_loss(config, prepared, runtime)
    train, skipped = training_batches(config, prepared, runtime, model, tell)
    val = eval_batches(config, prepared, runtime, prepared.data.val, tell)
    test = eval_batches(config, prepared, runtime, prepared.data.test)
    optimizer = optimizers.build_optimizer(config.optimizer.name, config.optimizer.settings, model)
    if runtime.fused:
        use_fused(optimizer, model)
    schedule, epochs = build_schedule(config, optimizer, len(train.sampler))
    runtime.compile_model(model)
    t, undefined = config.train, dict[str, str]()
    needs_closure = optimizers.needs_closure(optimizer)
    check_fp16(config, runtime, needs_closure)
    recorded, recording = build_captured_step(config, runtime, model, loss, train, prepared.spec)
    experiment = TrainContext(
        model=model,
        loss=loss,
        optimizer=optimizer,
        schedule=schedule,
        runtime=runtime,
        train=train,
        val=val,
        epochs=epochs,
        max_steps=t.max_steps,
        grad_accumulation=t.grad_accumulation,
        clip=clipper(model.parameters(), t.clip_norm, t.clip_value),
        ema=ema,
        needs_closure=needs_closure,
        val_every_epochs=t.val_every_epochs,
        measure=build_validation_metrics(config, prepared.spec, undefined),
        monitor=t.monitor,
        higher_is_better=t.monitor_mode == "max",
        min_delta=t.min_delta,
        patience_epochs=t.patience_epochs,
        recorded=recorded,
        guard=build_nonfinite_policy(config, runtime, model, needs_closure),
        splits_batches=t.on_oom == "halve",
        views=build_views(config, prepared.spec),
    )
    facts = (*prepared.facts, *getattr(model, "facts", ()), *schedule.facts)
    decided = (*runtime.decisions, *chosen, *decisions, *skipped, *recording)
    return Run(config, prepared, experiment, test, decided, facts, undefined)


def build_runtime(config: RunConfig) -> Runtime:
    """Device, number format, threads."""
    return make_runtime(
        name=config.device.name, deterministic=bool(config.train.deterministic), **config.device.settings
    )


def build_loggers(config: RunConfig, run_dir: Path, resume_step: int | None) -> list[Logger]:
    """The files of the run, always, and the logger that was chosen."""
    names: Sequence[Component] = (Component("files"), config.logger)
    chosen = {each.name: each for each in names}
    return [
        registry.loggers.build(each.name, each.settings, run_dir=run_dir, resume_step=resume_step)
        for each in chosen.values()
    ]
