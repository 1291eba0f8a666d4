"""Changes to a stored configuration: what `eval` and `resume` do to the one in a checkpoint.

Invariant: a stored configuration is data; it is changed key by key and checked again like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.config.run_config import GROUPS, RunConfig
from ptrun.errors import ConfigError, join_words
from ptrun.plugins import REGISTRIES
from ptrun.registry import Registry


def apply_changes(
    values: dict[str, Any], changes: Mapping[str, Any], changeable: Sequence[str], folders: tuple[Path, ...]
) -> None:
    """Set dotted keys in a nested configuration; `group: name` takes that group's YAML. Raises ConfigError."""
    problems = []
    for key, value in sorted(changes.items(), key=lambda item: "." in item[0]):  # choices before their settings
        top, _, rest = key.partition(".")
        if top not in changeable:
            problems.append(f"{key}: can't be changed here. What can: {join_words(changeable)}.")
        elif not rest and top in GROUPS:
            values[top] = schema.choice(top, str(value), folders)
        else:
            _set(values, key.split("."), value)
    if problems:
        raise ConfigError(problems)


def require_plugins(
    values: Mapping[str, Any], registries: Mapping[str, Registry[Any]], folders: tuple[Path, ...]
) -> None:
    """Say that a component is a plugin's, which a checkpoint must not import by itself. Raises ConfigError."""
    problems = []
    for group in GROUPS:
        name, registry = values[group]["name"], registries.get(group)
        if schema.find(group, name, folders) is None and (registry is None or name not in registry):
            problems.append(
                f"{group}: '{name}' of the checkpoint is no component of ptrun. If it is yours, name its file: plugins=[FILE.py]."
            )
    if problems:
        raise ConfigError(problems)


def _set(values: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        values = values.setdefault(part, {})
    values[parts[-1]] = value


# What may differ between the halves of a run: none of these changes what one step computes.
CHANGEABLE_WHEN_RESUMING = (
    "checkpoint",
    "dataset.cache",
    "device.index",
    "device.name",
    "device.threads",
    "label",
    "logger",
    "metrics",
    "output_dir",
    "plots",
    "plugins",
    "train.epochs",
    "train.eval_batch_size",
    "train.max_steps",
    "train.num_workers",
    "train.on_nonfinite",
    "train.on_oom",
    "train.patience_epochs",
    "train.val_every_epochs",
)


def refuse_changes(stored: Mapping[str, Any], config: RunConfig, allowed: Sequence[str]) -> list[str]:
    """Say which harmless settings change. Raises ConfigError naming those that would change the numbers."""
    changes = list(differences(stored, config.to_dict()))
    refused = [
        f"{key}: the run was started with {before!r}, now it is {now!r}; that would make another run of it. "
        f"Start a new run, or insist with --allow-change {key}."
        for key, before, now in changes
        if not key.startswith(CHANGEABLE_WHEN_RESUMING) and key not in allowed
    ]
    if refused:
        raise ConfigError(refused)
    return [
        f"{key}: {before!r} until now, {now!r} from here on.{_consequence(key, config)}" for key, before, now in changes
    ]


def differences(stored: Any, now: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted keys whose values differ; an `auto` of now agrees with whatever it was decided to be."""
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        if now.get("name") == "auto":
            return
        for key in [*stored, *(key for key in now if key not in stored)]:
            yield from differences(stored.get(key), now.get(key), f"{where}.{key}" if where else str(key))
    elif stored != now and now != "auto":
        yield where, stored, now


def _consequence(key: str, config: RunConfig) -> str:
    if key not in ("train.epochs", "train.max_steps"):
        return ""
    name = config.scheduler.name
    if "total_epochs" in REGISTRIES["scheduler"].keywords(name):
        return " The learning-rate schedule is stretched to the new length from here on."
    return f" The schedule '{name}' does not depend on the length."


CHANGEABLE_WHEN_EVALUATING = ("checkpoint", "split", "output_dir", "dataset", "transform", "device", "metrics", "train")


CHANGEABLE_WHEN_REPRODUCING = (
    "dataset",
    "device",
    "label",
    "logger",
    "plots",
)  # where the data lie, and on what to run
