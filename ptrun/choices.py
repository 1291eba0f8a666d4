"""Which choices go together, and what `auto` stands for, as far as the YAML files tell.

Invariant: needs neither torch nor data; facts about components are read from the headers of their YAML files.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptrun import schema
from ptrun.errors import ConfigError, listing
from ptrun.settings import Component, RunConfig

Decision = tuple[str, str, str]  # setting, requested, used

_MODELS = {"image": "convnet", "vector": "simplenet", "sequence": "lstm"}
_SHAPES = {
    "image": "images [channels, height, width]",
    "vector": "vectors [features]",
    "sequence": "sequences [steps, features]",
}


def choose(config: RunConfig, folders: tuple[Path, ...] = ()) -> tuple[RunConfig, list[Decision]]:
    """Replace model=auto and transform=auto by what fits the dataset. Raises ConfigError when it does not say what it gives."""
    gives = given_by(config.dataset.name, folders)
    decisions: list[Decision] = []
    if config.model.name == "auto":
        layout = layout_of(gives)
        if layout is None:
            raise ConfigError(
                f"model: dataset '{config.dataset.name}' does not declare what it gives, so model=auto can't choose. "
                f"Choose one: {listing(n for n in schema.names('model', folders) if n != 'auto')}."
            )
        config = replace(config, model=default_component("model", _MODELS[layout], folders))
        decisions.append(("model", "auto", config.model.name))
    if config.transform.name == "auto":
        chosen = "imagenet" if "files" in gives else "normalize" if "image" in gives else "none"
        config = replace(config, transform=default_component("transform", chosen, folders))
        decisions.append(("transform", "auto", chosen))
    return config, decisions


def given_by(dataset: str, folders: tuple[Path, ...] = ()) -> tuple[str, ...]:
    """What a dataset's declaration says about its samples; empty when there is none."""
    found = schema.find("dataset", dataset, folders)
    return found.facts.get("gives", ()) if found else ()


def layout_of(gives: tuple[str, ...]) -> str | None:
    """The layout among the words of a declaration."""
    return next((word for word in gives if word in _MODELS), None)


def default_component(group: str, name: str, folders: tuple[Path, ...] = ()) -> Component:
    """A component with the settings of its YAML file, a user's own file before the shipped one."""
    given = schema.choice(group, name, folders)
    keys = schema.require(group, given.pop("name"), folders).keys
    return Component(name, {key: given[key] if key in given else copy.deepcopy(keys[key].default) for key in keys})


def pair_problem(model: str, dataset: str, gives: tuple[str, ...], folders: tuple[Path, ...] = ()) -> str | None:
    """Say why a model can't take a dataset's layout, and which models can; None when it can or nothing is known."""
    layouts = [word for word in gives if word in _MODELS]
    found = schema.find("model", model, folders)
    accepts = found.facts.get("accepts", ()) if found else ()
    if not layouts or not accepts or set(layouts) & set(accepts):
        return None
    fitting = [
        n
        for n in schema.names("model", folders)
        if set(layouts) & set(schema.require("model", n, folders).facts.get("accepts", ()))
    ]
    return (
        f"model: '{model}' reads {' or '.join(_SHAPES[a] for a in accepts)}, but dataset '{dataset}' gives "
        f"{' or '.join(_SHAPES[a] for a in layouts)}. Models that fit: {listing(fitting)}."
    )


def task_problems(
    task: str, dataset: str, loss: str, metrics: Any, monitor: Any, folders: tuple[Path, ...] = ()
) -> list[str]:
    """Say which of loss, metrics and monitored metric are for another task than the dataset's."""
    chosen = [("loss", "loss", loss)]
    chosen += [("metrics", "metric", name) for item in (metrics if isinstance(metrics, list) else []) for name in item]
    if isinstance(monitor, str) and monitor not in ("val/loss", "auto"):
        chosen.append(("train.monitor", "metric", monitor.removeprefix("val/")))
    problems = []
    for key, group, name in chosen:
        found = schema.find(group, name, folders)
        tasks = found.facts.get("task", ()) if found else ()
        if tasks and task not in tasks:
            fitting = [
                n
                for n in schema.names(group, folders)
                if task in schema.require(group, n, folders).facts.get("task", ())
            ]
            problems.append(
                f"{key}: '{name}' is for {' or '.join(tasks)}, but dataset '{dataset}' is {task}. What fits: {listing(fitting)}."
            )
    return problems
