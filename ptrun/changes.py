"""Changes to a stored configuration: what `eval` and `resume` do to the one in a checkpoint.

Invariant: a stored configuration is data; it is changed key by key and checked again like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun import schema
from ptrun.errors import ConfigError, listing
from ptrun.registry import Registry
from ptrun.settings import GROUPS


def apply_changes(
    values: dict[str, Any], changes: Mapping[str, Any], changeable: Sequence[str], folders: tuple[Path, ...]
) -> None:
    """Set dotted keys in a nested configuration; `group: name` takes that group's YAML. Raises ConfigError."""
    problems = []
    for key, value in sorted(changes.items(), key=lambda item: "." in item[0]):  # choices before their settings
        top, _, rest = key.partition(".")
        if top not in changeable:
            problems.append(f"{key}: can't be changed here. What can: {listing(changeable)}.")
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
