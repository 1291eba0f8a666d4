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

from ptrun import catalog, choices, losses, metrics, optimizers, registry, schedulers, views
from ptrun.batches.cache import Tell
from ptrun.batches.plan import Batches, Plan
from ptrun.batches.source import make_batches
from ptrun.choices import Decision
from ptrun.errors import ConfigError
from ptrun.experiment import Experiment, Loss
from ptrun.fused import use_fused
from ptrun.guard import Guard
from ptrun.loggers import Logger
from ptrun.measures import measurer
from ptrun.prepared import Prepared, prepare
from ptrun.recorded import RecordedStep, record_step
from ptrun.runtime import Runtime, clipper, make_runtime, seed_everything
from ptrun.samples import FileSplit, Split
from ptrun.settings import Component, RunConfig
from ptrun.spec import DataSpec, Task
from ptrun.workload import settle

assert catalog.MODULES  # importing it filled the registries


@dataclass(frozen=True)
class Run:
    """All parts of a training run."""

    config: RunConfig  # with every `auto` decided
    prepared: Prepared
    experiment: Experiment
    test: Batches
    decisions: tuple[Decision, ...]
    facts: tuple[str, ...]
    undefined: Mapping[str, str]  # metrics that validation could not compute, with the reason; filled while training

    @property
    def splits(self) -> dict[str, Split]:
        """The three parts of the data by name."""
        data = self.prepared.data
        return {"train": data.train, "val": data.val, "test": data.test}


def build(
    config: RunConfig, folders: tuple[Path, ...] = (), chosen: Sequence[Decision] = (), tell: Tell | None = None
) -> Run:
    """Build every part of a training run. Raises ConfigError, DataError, ResourceError or CheckpointError.

    config: without `auto` for model and transform (`choices.choose` decides these); `chosen` is what was decided there.
    tell: is told how far work is that takes its time.
    """
    tell = tell or (lambda doing, done, total: None)
    runtime = build_runtime(config)
    prepared = prepare(config, fitted=None)
    config, decisions = decide(config, prepared.spec, folders)
    check_pair(config, prepared.spec, folders)
    model = build_model(config, prepared.spec, sample_inputs=prepared.sample_inputs)
    runtime = settle(runtime, model, prepared.spec.input_shape, config.train.batch_size)
    model = runtime.place(model)
    ema = _ema(model, config.train.ema_decay)
    loss = build_loss(config, prepared, runtime)
    train, skipped = training_batches(config, prepared, runtime, model, tell)
    val = eval_batches(config, prepared, runtime, prepared.data.val, tell)
    test = eval_batches(config, prepared, runtime, prepared.data.test)
    optimizer = optimizers.build_optimizer(config.optimizer.name, config.optimizer.settings, model)
    if runtime.fused:
        use_fused(optimizer, model)
    schedule, epochs = build_schedule(config, optimizer, len(train.plan))
    runtime.compile_model(model)
    t, undefined = config.train, dict[str, str]()
    needs_closure = optimizers.needs_closure(optimizer)
    _check_fp16(config, runtime, needs_closure)
    recorded, recording = _record(config, runtime, model, loss, train, prepared.spec)
    experiment = Experiment(
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
        measure=measurer(config, prepared.spec, undefined),
        monitor=t.monitor,
        higher_is_better=t.monitor_mode == "max",
        min_delta=t.min_delta,
        patience_epochs=t.patience_epochs,
        recorded=recorded,
        guard=_guard(config, runtime, model, needs_closure),
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


def decide(config: RunConfig, spec: DataSpec, folders: tuple[Path, ...] = ()) -> tuple[RunConfig, list[Decision]]:
    """Replace every `auto` that the task decides by what it stands for."""
    decisions: list[Decision] = []
    t = config.train
    if config.loss.name == "auto":
        config = replace(config, loss=choices.default_component("loss", losses.default_loss(spec), folders))
        decisions.append(("loss", "auto", config.loss.name))
    if config.metrics == "auto":
        chosen = metrics.default_metrics(spec.task)
        config = replace(config, metrics=[{name: {}} for name in chosen])
        decisions.append(("metrics", "auto", ", ".join(chosen)))
    if t.monitor == "auto":
        monitor = "val/accuracy" if spec.task is Task.CLASSIFICATION else "val/loss"
        t = replace(t, monitor=monitor)
        decisions.append(("train.monitor", "auto", monitor))
    if t.monitor_mode == "auto":
        name = t.monitor.removeprefix("val/")
        t = replace(t, monitor_mode="min" if name == "loss" or metrics.better(name) == "lower" else "max")
    return replace(config, train=t), decisions


def check_pair(config: RunConfig, spec: DataSpec, folders: tuple[Path, ...] = ()) -> None:
    """Check model, loss and metrics against what the data turned out to be. Raises ConfigError listing all that is wrong."""
    problems = [choices.pair_problem(config.model.name, config.dataset.name, (spec.layout, spec.task), folders)]
    problems += choices.task_problems(
        str(spec.task), config.dataset.name, config.loss.name, config.metrics, config.train.monitor, folders
    )
    found = [problem for problem in problems if problem]
    if found:
        raise ConfigError(found)


def build_model(config: RunConfig, spec: DataSpec, **given: Any) -> nn.Module:
    """Make the model with its initial weights decided by the seed.

    given, to models that have such a keyword: `restoring`, a checkpoint's weights come next, so that no file of pretrained
    weights is needed; `sample_inputs`, a function from a count to training inputs, for models that start from the data.
    """
    seed_everything(config.seed)
    try:
        model = registry.models.build(config.model.name, config.model.settings, spec, **given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"model: '{config.model.name}' can't be made for input {list(spec.input_shape)} with these settings: {error}"
        ) from error
    assert isinstance(model, nn.Module)
    return model


def build_loss(config: RunConfig, prepared: Prepared, runtime: Runtime) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss, on the device."""
    if prepared.pipelines.train is not None and prepared.pipelines.train.mixes:
        losses.require_shares(config.loss.name, prepared.spec)
    counts = None if prepared.class_counts is None else torch.tensor(prepared.class_counts)
    loss = losses.build_loss(config.loss.name, config.loss.settings, prepared.spec, counts)
    return loss.to(runtime.device) if isinstance(loss, nn.Module) else loss


def training_batches(
    config: RunConfig, prepared: Prepared, runtime: Runtime, model: nn.Module, tell: Tell
) -> tuple[Batches, list[Decision]]:
    """Shuffled batches; a last batch of one sample is left out, and said, where batch norm could not train on it."""
    split, t = prepared.data.train, config.train
    plan = Plan(len(split), t.batch_size, shuffle=True, seed=config.seed, drop_last=t.drop_last)
    decisions: list[Decision] = []
    if not t.drop_last and len(split) % t.batch_size == 1 and _has_batch_norm(model):
        plan = replace(plan, skip_single=True)
        decisions.append(
            (
                "train.drop_last",
                "false",
                "the last batch of each epoch is left out: it has one sample, on which batch norm can't train",
            )
        )
    pipeline, shape = prepared.pipelines.train, prepared.spec.input_shape
    batches = make_batches(split, plan, pipeline, runtime.device, t.num_workers, tell, shape)
    return batches, decisions


def eval_batches(
    config: RunConfig, prepared: Prepared, runtime: Runtime, split: Split, tell: Tell | None = None
) -> Batches:
    """Batches of a split in its own order. With `tell` they are kept as `dataset.cache` asks: they are wanted more than once."""
    t = config.train
    size = t.eval_batch_size
    if isinstance(size, str):
        size = t.batch_size if isinstance(split, FileSplit) else max(256, t.batch_size)
    plan = Plan(len(split), size, shuffle=False, seed=config.seed)
    pipeline, shape = prepared.pipelines.eval, prepared.spec.input_shape
    return make_batches(split, plan, pipeline, runtime.device, t.num_workers, tell, shape)


def build_views(config: RunConfig, spec: DataSpec) -> Callable[[nn.Module], nn.Module]:
    """How evaluation looks at each sample. Raises ConfigError where samples are no images."""
    problem = choices.views_problem(config.train.eval_views, (spec.layout,))
    if problem:
        raise ConfigError(problem)
    return partial(views.averaged, views=config.train.eval_views)


def build_loggers(config: RunConfig, run_dir: Path, resume_step: int | None) -> list[Logger]:
    """The files of the run, always, and the logger that was chosen."""
    names: Sequence[Component] = (Component("files"), config.logger)
    chosen = {each.name: each for each in names}
    return [
        registry.loggers.build(each.name, each.settings, run_dir=run_dir, resume_step=resume_step)
        for each in chosen.values()
    ]


def _record(
    config: RunConfig, runtime: Runtime, model: nn.Module, loss: Loss, train: Batches, spec: DataSpec
) -> tuple[RecordedStep | None, list[Decision]]:
    plan, asked = train.plan, config.device.settings["compile"]
    sizes = {plan.size(0), plan.size(len(plan) - 1)}
    return record_step(runtime, model, loss, train.split.targets[: plan.size(0)], spec.input_shape, sizes, asked=asked)


def _ema(model: nn.Module, decay: float | None) -> torch.optim.swa_utils.AveragedModel | None:
    if decay is None:
        return None
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def _check_fp16(config: RunConfig, runtime: Runtime, needs_closure: bool) -> None:
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


def _guard(config: RunConfig, runtime: Runtime, model: nn.Module, needs_closure: bool) -> Guard | None:
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


def build_schedule(
    config: RunConfig, optimizer: torch.optim.Optimizer, num_batches: int
) -> tuple[schedulers.Schedule, int]:
    """The learning-rate schedule, set for the first step, and the number of epochs."""
    steps_per_epoch = -(-num_batches // config.train.grad_accumulation)
    epochs = _epochs(config, steps_per_epoch)
    schedule = schedulers.build_schedule(
        config.scheduler.name,
        config.scheduler.settings,
        optimizer,
        steps_per_epoch=steps_per_epoch,
        total_epochs=epochs if config.train.max_steps is None else config.train.max_steps / steps_per_epoch,
        better="higher" if config.train.monitor_mode == "max" else "lower",
    )
    schedule.step(0)
    return schedule, epochs


def _epochs(config: RunConfig, steps_per_epoch: int) -> int:
    if config.train.max_steps is None:
        return config.train.epochs
    return -(-config.train.max_steps // steps_per_epoch)


def _has_batch_norm(model: nn.Module) -> bool:
    from torch.nn.modules.batchnorm import _BatchNorm

    return any(isinstance(module, _BatchNorm) for module in model.modules())
