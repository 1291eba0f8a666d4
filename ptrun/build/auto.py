"""Resolves the `auto` that the task of the data decides, and checks that the parts fit the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ptrun.config import auto, compatibility
from ptrun.config.auto import Decision
from ptrun.config.run_config import RunConfig
from ptrun.errors import ConfigError
from ptrun.losses import build
from ptrun.metrics import compute
from ptrun.spec import DataSpec, Task


def resolve_auto(config: RunConfig, spec: DataSpec, folders: tuple[Path, ...] = ()) -> tuple[RunConfig, list[Decision]]:
    """Replace `auto` in loss, metrics and train.monitor by what fits the task, and return what was decided."""
    decisions: list[Decision] = []
    train = config.train
    if config.loss.name == "auto":
        config = replace(config, loss=auto.default_component("loss", build.default_loss(spec), folders))
        decisions.append(("loss", "auto", config.loss.name))
    if config.metrics == "auto":
        names = compute.default_metrics(spec.task)
        config = replace(config, metrics=[{name: {}} for name in names])
        decisions.append(("metrics", "auto", ", ".join(names)))
    if train.monitor == "auto":
        train = replace(train, monitor="val/accuracy" if spec.task is Task.CLASSIFICATION else "val/loss")
        decisions.append(("train.monitor", "auto", train.monitor))
    if train.monitor_mode == "auto":
        name = train.monitor.removeprefix("val/")
        lower_is_better = name == "loss" or compute.better(name) == "lower"
        train = replace(train, monitor_mode="min" if lower_is_better else "max")
    return replace(config, train=train), decisions


def check_pair(config: RunConfig, spec: DataSpec, folders: tuple[Path, ...] = ()) -> None:
    """Check model, loss and metrics against the data. Raises ConfigError that lists every problem."""
    gives = (str(spec.layout), str(spec.task))
    problems = [compatibility.model_problem(config.model.name, config.dataset.name, gives, folders)]
    problems += compatibility.task_problems(
        gives, config.dataset.name, config.loss.name, config.metrics, config.train.monitor, folders
    )
    if any(problems):
        raise ConfigError(problem for problem in problems if problem)
