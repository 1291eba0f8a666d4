"""Decides the settings that the task of the data decides, and checks that the parts fit the data."""

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
    """Replace every `auto` that the task decides by what it stands for."""
    decisions: list[Decision] = []
    t = config.train
    if config.loss.name == "auto":
        config = replace(config, loss=auto.default_component("loss", build.default_loss(spec), folders))
        decisions.append(("loss", "auto", config.loss.name))
    if config.metrics == "auto":
        chosen = compute.default_metrics(spec.task)
        config = replace(config, metrics=[{name: {}} for name in chosen])
        decisions.append(("metrics", "auto", ", ".join(chosen)))
    if t.monitor == "auto":
        monitor = "val/accuracy" if spec.task is Task.CLASSIFICATION else "val/loss"
        t = replace(t, monitor=monitor)
        decisions.append(("train.monitor", "auto", monitor))
    if t.monitor_mode == "auto":
        name = t.monitor.removeprefix("val/")
        t = replace(t, monitor_mode="min" if name == "loss" or compute.better(name) == "lower" else "max")
    return replace(config, train=t), decisions


def check_pair(config: RunConfig, spec: DataSpec, folders: tuple[Path, ...] = ()) -> None:
    """Check model, loss and metrics against what the data turned out to be. Raises ConfigError listing all that is wrong."""
    gives = (str(spec.layout), str(spec.task))
    problems = [compatibility.model_problem(config.model.name, config.dataset.name, gives, folders)]
    problems += compatibility.task_problems(
        gives, config.dataset.name, config.loss.name, config.metrics, config.train.monitor, folders
    )
    found = [problem for problem in problems if problem]
    if found:
        raise ConfigError(found)
