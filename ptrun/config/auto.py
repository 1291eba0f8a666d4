"""Decides model=auto and transform=auto from what the YAML files say about the dataset."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.config.compatibility import default_model, given_by
from ptrun.config.run_config import Component, RunConfig
from ptrun.errors import ConfigError, join_words

Decision = tuple[str, str, str]  # setting, requested, used


def resolve_auto(config: RunConfig, folders: tuple[Path, ...] = ()) -> tuple[RunConfig, list[Decision]]:
    """Replace model=auto and transform=auto by what fits the dataset, and say what was decided.

    Raises ConfigError for model=auto with a dataset that does not declare its layout.
    """
    gives = given_by(config.dataset, folders, look=True)
    model, model_decisions = _resolve_model(config, gives, folders)
    transform, transform_decisions = _resolve_transform(config, gives, folders)
    return replace(config, model=model, transform=transform), [*model_decisions, *transform_decisions]


def _resolve_model(
    config: RunConfig, gives: tuple[str, ...], folders: tuple[Path, ...]
) -> tuple[Component, list[Decision]]:
    if config.model.name != "auto":
        return config.model, []
    default = default_model(gives)
    if default is None:
        names = [name for name in schema.names("model", folders) if name != "auto"]
        raise ConfigError(
            f"model: dataset '{config.dataset.name}' does not declare what it gives, so model=auto can't choose. "
            f"Choose one: {join_words(names)}."
        )
    name, settings = default
    model = default_component("model", name, folders)
    return replace(model, settings={**model.settings, **settings}), [("model", "auto", name)]


def _resolve_transform(
    config: RunConfig, gives: tuple[str, ...], folders: tuple[Path, ...]
) -> tuple[Component, list[Decision]]:
    """The whole transform may be `auto`, or only its train or eval part."""
    transform = config.transform
    open_parts = [part for part, items in transform.settings.items() if items == "auto"]
    if transform.name != "auto" and not open_parts:
        return transform, []
    of_files = "photos" if config.model.name == "auto" else "imagenet"
    name = of_files if "files" in gives else "normalize" if "image" in gives else "none"
    default = _with_all_settings(default_component("transform", name, folders), folders)
    own_parts = {part: items for part, items in transform.settings.items() if part not in open_parts}
    settings = {**default.settings, **own_parts}
    if transform.name == "auto":
        return Component(name, settings), [("transform", "auto", name)]
    decisions = [(f"transform.{part}", "auto", f"that of {name}") for part in open_parts]
    return replace(transform, settings=settings), decisions


def default_component(group: str, name: str, folders: tuple[Path, ...] = ()) -> Component:
    """A component with the settings of its YAML file, a user's own file before the shipped one."""
    values = schema.choice(group, name, folders)
    keys = schema.require(group, values.pop("name"), folders).keys
    return Component(name, {key: values[key] if key in values else copy.deepcopy(keys[key].default) for key in keys})


def _with_all_settings(transform: Component, folders: tuple[Path, ...]) -> Component:
    """The image transforms with all their settings, as the check completes those of a transform chosen by name."""
    settings = {part: [_with_defaults(item, folders) for item in items] for part, items in transform.settings.items()}
    return replace(transform, settings=settings)


def _with_defaults(item: str | Mapping[str, Any], folders: tuple[Path, ...]) -> dict[str, Any]:
    name, settings = (item, None) if isinstance(item, str) else next(iter(item.items()))
    keys = schema.require("image_transform", name, folders).keys
    defaults = {key: copy.deepcopy(declared.default) for key, declared in keys.items()}
    return {name: {**defaults, **{key: value for key, value in (settings or {}).items() if key in keys}}}
