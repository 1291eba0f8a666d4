"""Which choices go together, and what `auto` stands for, as far as the YAML files and the header of a data file tell.

Invariant: needs neither torch nor the data themselves; facts about components are read from the headers of their YAML files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.config.run_config import Component
from ptrun.data.formats.npz_header import layout_in
from ptrun.errors import join_words

DEFAULT_MODELS = {"image": "convnet", "vector": "simplenet", "sequence": "lstm"}
_TASKS = ("classification", "regression")
_SHAPES = {
    "image": "images [channels, height, width]",
    "vector": "vectors [features]",
    "sequence": "sequences [steps, features]",
}


def given_by(dataset: Component, folders: tuple[Path, ...] = ()) -> tuple[str, ...]:
    """What a dataset's declaration says about its samples, of several layouts the one that its file holds; empty when there is none."""
    found = schema.find("dataset", dataset.name, folders)
    gives = found.facts.get("gives", ()) if found else ()
    path = dataset.settings.get("path")
    held = layout_in(path) if len(_layouts(gives)) > 1 and isinstance(path, str) else None
    return gives if held is None else tuple(word for word in gives if word == held or word not in DEFAULT_MODELS)


def layout_of(gives: tuple[str, ...]) -> str | None:
    """The layout among the words of a declaration."""
    return next(iter(_layouts(gives)), None)


def _layouts(gives: tuple[str, ...]) -> list[str]:
    """The layouts that a dataset may give; where there are several, its file decides."""
    return [word for word in gives if word in DEFAULT_MODELS]


def task_of(gives: tuple[str, ...]) -> str | None:
    """The task among the words of a declaration."""
    return next((word for word in gives if word in _TASKS), None)


def pair_problem(model: str, dataset: str, gives: tuple[str, ...], folders: tuple[Path, ...] = ()) -> str | None:
    """Say why a model can't take a dataset's layout or task, and which models can; None when it can or nothing is known."""
    layouts = _layouts(gives)
    if not layouts or fits(model, gives, folders):
        return None
    found = schema.require("model", model, folders).facts
    fitting = [name for name in schema.names("model", folders) if fits(name, gives, folders)]
    if not set(layouts) & set(found.get("accepts", layouts)):
        problem = (
            f"'{model}' reads {' or '.join(_SHAPES[a] for a in found['accepts'])}, but dataset '{dataset}' gives "
            f"{' or '.join(_SHAPES[a] for a in layouts)}"
        )
    else:
        problem = f"'{model}' is for {' or '.join(found['task'])}, but dataset '{dataset}' is {task_of(gives)}"
    return f"model: {problem}. Models that fit: {join_words(fitting)}."


def views_problem(views: str, gives: tuple[str, ...]) -> str | None:
    """Say why evaluation can't look at several views of a sample (ptrun/evaluation/test_time_augmentation.py); None when it can or nothing is known."""
    layouts = _layouts(gives)
    if views == "one" or not layouts or "image" in layouts:
        return None
    return f"train.eval_views: '{views}' mirrors images, but these data are a {layouts[0]}. Use one."


def fits(model: str, gives: tuple[str, ...], folders: tuple[Path, ...] = ()) -> bool:
    """Whether a model's declaration allows what a dataset gives; what is not declared is allowed."""
    found = schema.find("model", model, folders)
    facts = found.facts if found else {}
    layouts, task = _layouts(gives), task_of(gives)
    return (not layouts or bool(set(layouts) & set(facts.get("accepts", layouts)))) and (
        task is None or task in facts.get("task", (task,))
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
                f"{key}: '{name}' is for {' or '.join(tasks)}, but dataset '{dataset}' is {task}. What fits: {join_words(fitting)}."
            )
    return problems
