"""Overrides → a checked RunConfig, plugins included: the one way in, for the command line and for Python.

One ConfigError holds every problem of every override and every value. torch is imported only when plugins are named.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ptrun.config import check as configuration
from ptrun.config import compose, schema
from ptrun.config.compose import Composed, Composer
from ptrun.config.run_config import GROUPS, PRESETS, RunConfig
from ptrun.config.stored import complete
from ptrun.errors import ConfigError
from ptrun.process.startup import loading_torch
from ptrun.registry import Registry


class LoadedConfig(NamedTuple):
    """A checked configuration, and the same as it was written, with references unresolved."""

    config: RunConfig
    as_written: Mapping[str, Any]


def load_config(composer: Composer, overrides: Sequence[str]) -> LoadedConfig:
    """Compose and check. Raises ConfigError listing every problem."""
    unknown = composer.unknown_choices(overrides)  # to be composed once more when the plugins are imported
    composed = composer.compose([text for text in overrides if text not in unknown])
    _refuse_sweep(composed)
    registries = _import_named_plugins(composed, composer.folders)
    problems: list[str] = []
    try:
        composer.check_overrides(unknown, {group: list(registry) for group, registry in registries.items()})
        composed = composer.compose_checked(overrides) if unknown else composed
    except ConfigError as error:
        problems.extend(error.problems)
    try:
        config = check(composed, composer.folders, registries)
    except ConfigError as error:
        problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    return LoadedConfig(config, compose.plain(composed, resolve=False))


def import_plugins(composer: Composer, overrides: Sequence[str]) -> Mapping[str, Registry[Any]]:
    """Import the plugins that a configuration names, so that their components can be chosen. Raises ConfigError.

    Returns group → registry; empty when no plugin is named.
    """
    unknown = composer.unknown_choices(overrides)
    return _import_named_plugins(
        composer.compose([text for text in overrides if text not in unknown]), composer.folders
    )


def check(composed: Composed, folders: tuple[Path, ...], registries: Mapping[str, Registry[Any]]) -> RunConfig:
    """Check one composed configuration. Raises ConfigError."""
    refuse_presets_without_package(composed)
    return configuration.check(compose.plain(composed, resolve=True), folders, registries)


def refuse_presets_without_package(composed: Composed) -> None:
    """Raise ConfigError for a recipe whose settings Hydra has put below its group."""
    without_package = [group for group in PRESETS if composed.get(group) is not None]
    if without_package:
        raise ConfigError(
            f"{group}: the file that was chosen lacks the line `# @package _global_` at its top. "
            "Without it none of its settings has an effect."
            for group in without_package
        )


def _refuse_sweep(composed: Composed) -> None:
    """Raise ConfigError for a configuration that is written as a sweep."""
    if str(composed.hydra.mode).endswith("MULTIRUN"):
        raise ConfigError(
            "hydra.mode: this configuration is a sweep (MULTIRUN), which -m starts: `ptrun train -m ...` with the same "
            "settings. hydra.mode=RUN makes one run of it."
        )


def thaw(values: Mapping[str, Any], folders: tuple[Path, ...]) -> LoadedConfig:
    """A configuration that was stored with references to environment variables; imports its plugins.

    Only for what this user's own command stored. Raises ConfigError.
    """
    registries = import_components(values["plugins"])
    completed = complete(compose.resolved(values), registries, folders)
    return LoadedConfig(configuration.check(completed, folders, registries, is_stored=True), values)


def import_components(plugin_files: Sequence[str]) -> Mapping[str, Registry[Any]]:
    """Import the shipped components, and with them torch, then the user's files. Returns group → registry.

    Raises ConfigError when a file can't be imported, or registers a name that is taken.
    """
    with loading_torch():
        from ptrun import catalog
    return catalog.load_plugins(plugin_files)


def _import_named_plugins(composed: Composed, folders: tuple[Path, ...]) -> Mapping[str, Registry[Any]]:
    """Import the plugins that the configuration names, and let Hydra know their components."""
    files = composed.get("plugins") or []
    if not files:
        return {}
    if isinstance(files, str):
        raise ConfigError(f"plugins: expected a list of files, got '{files}'. Write plugins=[{files}].")
    registries = import_components([str(file) for file in files])
    for group in GROUPS:
        registry = registries.get(group)
        for name in registry or ():
            if registry is not None and name not in schema.names(group, folders):
                compose.add_choice(group, name, _defaults(registry, name))
    return registries


def _defaults(registry: Registry[Any], name: str) -> dict[str, Any]:
    """The settings of a plugin's function that a user can give, with their defaults."""
    parameters = registry.keywords(name).items()
    return {key: _default(p.default) for key, p in parameters if key not in configuration.GIVEN_BY_PROGRAM}


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return schema.MISSING
    return list(value) if isinstance(value, tuple) else value
