"""The checked configuration of a run: typed, frozen, plain values only.

The fields of TrainSettings and RunConfig are the keys of conf/train.yaml, which a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

GROUPS = ("model", "dataset", "split", "transform", "loss", "optimizer", "scheduler", "device", "checkpoint", "logger")
PRESETS = ("experiment", "debug")
SWEEP = "sweep"  # the group of settings of a sweep, which is no part of the configuration of a run
CHOSEN = (*GROUPS, *PRESETS, SWEEP)  # keys whose value is the name of a YAML file


@dataclass(frozen=True)
class Component:
    """A registered name and the settings it is built with."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainSettings:
    """The section `train`. conf/train.yaml has meanings and units."""

    epochs: int | str
    max_steps: int | None
    batch_size: int
    eval_batch_size: int | str
    eval_views: str
    num_workers: int | str
    drop_last: bool
    grad_accumulation: int
    clip_norm: float | None
    clip_value: float | None
    ema_decay: float | None
    ema_warmup: bool
    monitor: str
    monitor_mode: str
    patience_epochs: int | str | None
    min_delta: float
    val_every_epochs: int
    on_nonfinite: str
    on_oom: str
    deterministic: bool | str


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run."""

    model: Component
    dataset: Component
    split: Component
    transform: Component
    loss: Component
    optimizer: Component
    scheduler: Component
    device: Component
    checkpoint: Component
    logger: Component
    train: TrainSettings
    weights: str | None
    seed: int
    metrics: list[dict[str, Any]] | str  # each metric as {name: settings}
    plots: bool
    plugins: list[str]
    label: str | None
    output_dir: str

    def to_dict(self) -> dict[str, Any]:
        """The same nesting as the YAML, in plain containers."""
        values: dict[str, Any] = {}
        for declared in fields(self):
            value = getattr(self, declared.name)
            if isinstance(value, Component):
                value = {"name": value.name, **value.settings}
            values[declared.name] = asdict(value) if isinstance(value, TrainSettings) else value
        return values
