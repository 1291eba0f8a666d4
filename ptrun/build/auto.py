"""Resolves the `auto` that the task of the data decides, and checks that the parts fit the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ptrun.config import auto, compatibility
from ptrun.config.auto import Decision
from ptrun.config.run_config import RunConfig
from ptrun.errors import ConfigError
from ptrun.losses import build
from ptrun.metrics import compute
from ptrun.models import timm
from ptrun.spec import DataSpec, Task
from ptrun.transforms.statistics import STATISTICS


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


def resolve_before_data(config: RunConfig, folders: tuple[Path, ...] = ()) -> tuple[RunConfig, list[Decision]]:
    """Replace `auto` in model and transform, and return what was decided.

    Images for weights of timm are normalized as those that they were trained on. Raises ConfigError.
    """
    open_parts = [part for part, items in config.transform.settings.items() if items == "auto"]
    config, decisions = auto.resolve_auto(config, folders)
    settings = config.model.settings
    if config.model.name != "timm" or not open_parts or not (settings["weights"] or config.weights):
        return config, decisions
    mean, std = (_short(values) for values in timm.input_statistics(settings["arch"], settings["weights"]))
    transforms = {
        part: [{"normalize": {"mean": mean, "std": std}} if "normalize" in item else item for item in items]
        if part in open_parts
        else items
        for part, items in config.transform.settings.items()
    }
    used = f"mean {mean}, std {std}, with which {settings['arch']} was trained"
    return (
        replace(config, transform=replace(config.transform, settings=transforms)),
        [*decisions, ("normalize", "auto", used)],
    )


def _short(values: Sequence[float]) -> float | list[float] | str:
    """Statistics as a setting of `normalize`: by name, or as one number where all channels have the same."""
    for which in (0, 1):
        if tuple(values) == STATISTICS["imagenet"][which]:
            return "imagenet"
    return values[0] if len({*values}) == 1 else list(values)


def check_pair(config: RunConfig, spec: DataSpec, folders: tuple[Path, ...] = ()) -> None:
    """Check model, loss and metrics against the data. Raises ConfigError that lists every problem."""
    gives = (str(spec.layout), str(spec.task))
    problems = [compatibility.model_problem(config.model.name, config.dataset.name, gives, folders)]
    problems += compatibility.task_problems(
        gives, config.dataset.name, config.loss.name, config.metrics, config.train.monitor, folders
    )
    if any(problems):
        raise ConfigError(problem for problem in problems if problem)
