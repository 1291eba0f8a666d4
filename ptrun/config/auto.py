"""Decides model=auto and transform=auto from the YAML files."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.config.compatibility import DEFAULT_MODELS, given_by, layout_of
from ptrun.config.run_config import Component, RunConfig
from ptrun.errors import ConfigError, join_words

Decision = tuple[str, str, str]  # setting, requested, used


def resolve_auto(config: RunConfig, folders: tuple[Path, ...] = ()) -> tuple[RunConfig, list[Decision]]:
    """Replace model=auto and transform=auto by what fits the dataset. Raises ConfigError when it does not say what it gives."""
    gives = given_by(config.dataset, folders)
    decisions: list[Decision] = []
    if config.model.name == "auto":
        layout = layout_of(gives)
        if layout is None:
            raise ConfigError(
                f"model: dataset '{config.dataset.name}' does not declare what it gives, so model=auto can't choose. "
                f"Choose one: {join_words(n for n in schema.names('model', folders) if n != 'auto')}."
            )
        config = replace(config, model=default_component("model", DEFAULT_MODELS[layout], folders))
        decisions.append(("model", "auto", config.model.name))
    asked = config.transform
    left = [part for part, steps in asked.settings.items() if steps == "auto"]
    if asked.name == "auto" or left:
        chosen = "imagenet" if "files" in gives else "normalize" if "image" in gives else "none"
        found = _with_all_settings(default_component("transform", chosen, folders), folders)
        kept = {part: steps for part, steps in asked.settings.items() if part not in left}
        if asked.name == "auto":
            asked = found
            decisions.append(("transform", "auto", chosen))
        else:
            decisions += [(f"transform.{part}", "auto", f"that of {chosen}") for part in left]
        config = replace(config, transform=replace(asked, settings={**found.settings, **kept}))
    return config, decisions


def default_component(group: str, name: str, folders: tuple[Path, ...] = ()) -> Component:
    """A component with the settings of its YAML file, a user's own file before the shipped one."""
    given = schema.choice(group, name, folders)
    keys = schema.require(group, given.pop("name"), folders).keys
    return Component(name, {key: given[key] if key in given else copy.deepcopy(keys[key].default) for key in keys})


def _with_all_settings(transform: Component, folders: tuple[Path, ...]) -> Component:
    """The image transforms with all their settings, as the check completes those of a transform that is chosen by name."""
    return replace(
        transform,
        settings={
            part: [_with_defaults(step, folders) for step in steps] for part, steps in transform.settings.items()
        },
    )


def _with_defaults(step: str | Mapping[str, Any], folders: tuple[Path, ...]) -> dict[str, Any]:
    name, given = (step, {}) if isinstance(step, str) else next(iter(step.items()))
    keys = schema.require("image_transform", name, folders).keys
    return {name: {key: (given or {}).get(key, copy.deepcopy(declared.default)) for key, declared in keys.items()}}
