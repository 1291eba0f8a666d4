"""Builds all parts of a training run from its configuration, in one fixed order.

The random generators are seeded just before the model is made, and nothing else draws from them until training starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from ptrun import catalog
from ptrun.build.auto import check_pair, photo_notes, resolve_auto, resolve_by_size
from ptrun.build.batches import build_loaders
from ptrun.build.data import Prepared, prepare
from ptrun.build.evaluation import build_validation_metrics, refuse_undefined_monitor
from ptrun.build.model import average_notes, build_ema, build_loss, build_model, build_views, load_start_weights
from ptrun.build.optimizer import build_optimizer, build_schedule
from ptrun.build.step import StepParts, build_step
from ptrun.config.auto import Decision
from ptrun.config.run_config import RunConfig
from ptrun.data.loading.image_cache import ProgressCallback
from ptrun.data.loading.loader import Loader
from ptrun.data.splits import Split
from ptrun.device import auto as device_auto
from ptrun.device.choose import make_runtime
from ptrun.device.runtime import Runtime
from ptrun.engine.context import TrainContext
from ptrun.losses.build import loss_notes

assert catalog.MODULES  # importing it fills the registries


@dataclass(frozen=True)
class Run:
    """All parts of a training run.

    config: with every `auto` resolved.
    decisions: what the program decided, as (setting, requested, used).
    notes: sentences about what was found in the data and the model.
    undefined: metrics that a validation could not compute, with the reason. Filled while training.
    """

    config: RunConfig
    prepared: Prepared
    ctx: TrainContext
    test: Loader
    decisions: tuple[Decision, ...]
    notes: tuple[str, ...]
    undefined: Mapping[str, str]

    @property
    def splits(self) -> dict[str, Split]:
        """The three parts of the data by name."""
        data = self.prepared.data
        return {"train": data.train, "val": data.val, "test": data.test}


def build(
    config: RunConfig,
    folders: tuple[Path, ...] = (),
    decisions: Sequence[Decision] = (),
    on_progress: ProgressCallback | None = None,
    restoring: bool = False,
) -> Run:
    """Build every part of a training run. Raises ConfigError, DataError, ResourceError or CheckpointError.

    config: with model and transform resolved (ptrun/config/auto.py), which gave `decisions`.
    on_progress: called while work goes on that takes long, such as filling the image cache.
    restoring: the weights of a checkpoint come next, so that no file of weights is read.
    """
    runtime = build_runtime(config)
    prepared = prepare(config, None, ("train", "val", "test"), on_progress)
    spec = prepared.spec
    config, data_decisions, data_notes = _resolve_from_data(config, prepared, folders, decisions)
    model, runtime, model_notes = _build_model(config, prepared, runtime, restoring)
    ema = build_ema(model, config.train.ema_decay, warmup=config.train.ema_warmup)
    loss = build_loss(config, prepared, runtime)
    loaders = build_loaders(config, prepared, runtime, model, on_progress or _ignore_progress)
    train = loaders.train
    optimizer = build_optimizer(config, model, runtime)
    schedule, epochs = build_schedule(config, optimizer, len(train.sampler))
    runtime.compile_model(model)
    built = build_step(config, StepParts(runtime, model, loss, optimizer, train, spec.input_shape))
    undefined: dict[str, str] = {}
    ctx = TrainContext(
        model=model,
        loss=loss,
        optimizer=optimizer,
        schedule=schedule,
        runtime=runtime,
        train=train,
        val=loaders.val,
        step=built.step,
        ema=ema,
        epochs=epochs,
        **loop_settings(config),
        make_metrics=build_validation_metrics(config, spec, undefined),
        with_views=build_views(config, spec),
        rollback=built.rollback,
    )
    notes = (*prepared.notes, *data_notes, *model_notes, *_notes_on_training(config, ctx), *schedule.notes)
    all_decisions = (*runtime.decisions, *decisions, *data_decisions, *loaders.decisions, *built.decisions)
    return Run(config, prepared, ctx, loaders.test, all_decisions, notes, undefined)


def _resolve_from_data(
    config: RunConfig, prepared: Prepared, folders: tuple[Path, ...], before: Sequence[Decision]
) -> tuple[RunConfig, list[Decision], list[str]]:
    """Replace the `auto` that the data decide, and check that the parts fit them. Returns decisions and notes."""
    data = replace(prepared.data, spec=prepared.spec)  # the images as they reach the model
    config, size_decisions, notes = resolve_by_size(config, data)
    config, task_decisions = resolve_auto(config, prepared.spec, folders)
    check_pair(config, prepared.spec, folders)
    refuse_undefined_monitor(config, prepared)
    return config, [*size_decisions, *task_decisions], [*photo_notes(config, data, before), *notes]


def _build_model(
    config: RunConfig, prepared: Prepared, runtime: Runtime, restoring: bool
) -> tuple[nn.Module, Runtime, tuple[str, ...]]:
    """The model on its device with the weights it starts from, the runtime with its choices for it, and notes on it."""
    spec, from_file = prepared.spec, config.weights is not None and not restoring
    model = build_model(config, spec, sample_inputs=prepared.sample_inputs, restoring=restoring or from_file)
    notes = (load_start_weights(config, model, spec).sentence,) if from_file else ()
    runtime = device_auto.resolve_auto(runtime, model, spec.input_shape, config.train.batch_size)
    return runtime.place(model), runtime, (*notes, *getattr(model, "notes", ()))


def _notes_on_training(config: RunConfig, ctx: TrainContext) -> tuple[str, ...]:
    """What the settings of loss and average do to the numbers that are reported."""
    steps_per_epoch = -(-len(ctx.train.sampler) // ctx.grad_accumulation)
    total_steps = ctx.max_steps or ctx.epochs * steps_per_epoch
    train = config.train
    on_average = average_notes(train.ema_decay, total_steps, warmup=train.ema_warmup)
    return (*loss_notes(config.loss.settings), *on_average)


def _ignore_progress(work: str, done: int, total: int) -> None:
    pass


def loop_settings(config: RunConfig) -> dict[str, Any]:
    """The settings that the training loop reads, by the names of their fields in TrainContext."""
    train = config.train
    return {
        "max_steps": train.max_steps,
        "grad_accumulation": train.grad_accumulation,
        "val_every_epochs": train.val_every_epochs,
        "monitor": train.monitor,
        "higher_is_better": train.monitor_mode == "max",
        "min_delta": train.min_delta,
        "patience_epochs": train.patience_epochs,
    }


def build_runtime(config: RunConfig) -> Runtime:
    """Device, number format, threads. Raises ConfigError for a device that is not there."""
    return make_runtime(
        name=config.device.name, deterministic=bool(config.train.deterministic), **config.device.settings
    )


def compiles_model(config: RunConfig) -> bool:
    """Whether torch's compiler is needed, which otherwise is not imported."""
    return bool(config.device.settings["compile"] == "model")


def requires_equal_bits(config: RunConfig) -> bool:
    """Whether a run may be continued only where its bits stay equal."""
    return config.train.deterministic == "strict"
