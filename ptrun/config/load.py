"""Overrides → a checked RunConfig, plugins included: the one way in, for the command line and for Python.

Invariant: every problem of every override and every value is in one ConfigError, and torch is
imported only when plugins are named.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.config import check as configuration
from ptrun.config import compose, schema
from ptrun.config.compose import Composed, Composer
from ptrun.config.run_config import GROUPS, PRESETS, RunConfig
from ptrun.errors import ConfigError
from ptrun.registry import Registry


@dataclass(frozen=True)
class LoadedConfig:
    """A checked configuration, and the same as it was written, with references unresolved."""

    config: RunConfig
    as_written: Mapping[str, Any]


def conf_folders(config_dir: str | None) -> tuple[Path, ...]:
    """The user's folders of YAML files, first one first: `--config-dir`, then `conf` in the working folder. Raises ConfigError."""
    own = schema.user_conf()
    if config_dir is None:
        return (own,) if own else ()
    folder = Path(config_dir).expanduser().resolve()
    if not folder.is_dir():
        raise ConfigError(f"--config-dir: there is no folder {folder}.")
    return (folder, own) if own and own.resolve() != folder else (folder,)


def load_config(composer: Composer, overrides: Sequence[str]) -> LoadedConfig:
    """Compose and check. Raises ConfigError listing every problem."""
    unknown = composer.unknown_choices(overrides)
    composed = composer.compose([text for text in overrides if text not in unknown])
    registries = _load_plugins(composed, composer.folders)
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


def check(composed: Composed, folders: tuple[Path, ...], registries: Mapping[str, Registry[Any]]) -> RunConfig:
    """Check one composed configuration. Raises ConfigError."""
    lost = [group for group in PRESETS if composed.get(group) is not None]
    if lost:
        raise ConfigError(
            [
                f"{group}: the file that was chosen lacks the line `# @package _global_` at its top, without which its settings go nowhere."
                for group in lost
            ]
        )
    return configuration.check(compose.plain(composed, resolve=True), folders, registries)


def _load_plugins(composed: Composed, folders: tuple[Path, ...]) -> Mapping[str, Registry[Any]]:
    """Import the plugins that the configuration names, and make their components choosable."""
    files = composed.get("plugins") or []
    if not files:
        return {}
    if isinstance(files, str):
        raise ConfigError(f"plugins: expected a list of files, got '{files}'. Write plugins=[{files}].")
    from ptrun import catalog, plugins

    assert catalog.MODULES  # the shipped names first, so that a plugin that takes one is told
    plugins.load([str(file) for file in files])
    for group in GROUPS:
        registry = plugins.REGISTRIES.get(group)
        for name in registry or ():
            if registry is not None and name not in schema.names(group, folders):
                compose.add_choice(group, name, _defaults(registry, name))
    return plugins.REGISTRIES


def _defaults(registry: Registry[Any], name: str) -> dict[str, Any]:
    """The settings of a plugin's function that a user can give, with their defaults."""
    parameters = registry.keywords(name).items()
    return {key: _default(p.default) for key, p in parameters if key not in configuration.GIVEN_BY_PROGRAM}


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return schema.MISSING
    return list(value) if isinstance(value, tuple) else value
