"""Which choices go together, as far as the headers of the YAML files and the header of a data file say.

A YAML file says in its first lines what a component accepts or gives, as `# accepts: image` or `# gives: vector`.
Needs neither torch nor the data themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.config.run_config import Component
from ptrun.data.formats.npz_header import layout_in
from ptrun.errors import join_words

_LAYOUTS = ("image", "vector", "sequence")
_TASKS = ("classification", "regression")
_SHAPES = {
    "image": "images [channels, height, width]",
    "vector": "vectors [features]",
    "sequence": "sequences [time, features]",
}


def given_by(dataset: Component, folders: tuple[Path, ...] = (), *, look: bool = False) -> tuple[str, ...]:
    """The words by which a dataset says what its samples are: a layout, a task, `files`; empty when it says nothing.

    Of several layouts it is the one that its file holds, when the header of the file says so. look: where the values
    decide, read them.
    """
    declaration = schema.find("dataset", dataset.name, folders)
    gives = declaration.facts.get("gives", ()) if declaration else ()
    path = dataset.settings.get("path")
    if len(_layouts(gives)) < 2 or not isinstance(path, str):
        return gives
    layout = layout_in(path, dataset.settings.get("layout") or "auto", look=look)
    return gives if layout is None else tuple(word for word in gives if word == layout or word not in _LAYOUTS)


def layout_of(gives: tuple[str, ...]) -> str | None:
    """The layout among the words of a dataset."""
    return next(iter(_layouts(gives)), None)


# Trained on 84 photos of cats and dogs for two minutes on two cores, it is right for 65 % of 300 others (two seeds),
# with all channels of cifar_net for 62 %, with resnet_cifar for 53 % (50 % by chance).
OF_PHOTOS = ("cifar_net", {"channels": [32, 128, 128]})  # for 64 pixels (transform=photos)


def default_model(gives: tuple[str, ...]) -> tuple[str, Mapping[str, Any]] | None:
    """What model=auto means for what a dataset gives, with settings that are not its defaults.

    None when the dataset does not say its layout.
    """
    layout = layout_of(gives)
    if layout == "image":
        return OF_PHOTOS if "files" in gives else ("convnet", {})
    if layout == "sequence":
        return ("fcn" if task_of(gives) == "classification" else "lstm"), {}
    return None if layout is None else ("simplenet", {})


def _layouts(gives: tuple[str, ...]) -> list[str]:
    """The layouts that a dataset may give; where there are several, its file decides."""
    return [word for word in gives if word in _LAYOUTS]


def task_of(gives: tuple[str, ...]) -> str | None:
    """The task among the words of a dataset."""
    return next((word for word in gives if word in _TASKS), None)


def fits(model: str, gives: tuple[str, ...], folders: tuple[Path, ...] = ()) -> bool:
    """Whether a model's declaration allows what a dataset gives. What is not declared is allowed."""
    declaration = schema.find("model", model, folders)
    facts = declaration.facts if declaration else {}
    layouts, task = _layouts(gives), task_of(gives)
    reads_layout = not layouts or bool(set(layouts) & set(facts.get("accepts", layouts)))
    return reads_layout and (task is None or task in facts.get("task", (task,)))


def model_problem(model: str, dataset: str, gives: tuple[str, ...], folders: tuple[Path, ...] = ()) -> str | None:
    """Why a model can't take a dataset's layout or task, and which models can; None when it can or nothing is known."""
    layouts = _layouts(gives)
    if not layouts or fits(model, gives, folders):
        return None
    facts = schema.require("model", model, folders).facts
    fitting = [name for name in schema.readable_names("model", folders) if fits(name, gives, folders)]
    if set(layouts) & set(facts.get("accepts", layouts)):
        reason = f"'{model}' is for {' or '.join(facts['task'])}, but dataset '{dataset}' is {task_of(gives)}"
    else:
        reads = " or ".join(_SHAPES[layout] for layout in facts["accepts"])
        gives_text = " or ".join(_SHAPES[layout] for layout in layouts)
        reason = f"'{model}' reads {reads}, but dataset '{dataset}' gives {gives_text}"
    return f"model: {reason}. Models that fit: {join_words(fitting)}."


def transform_problem(transform: Component, dataset: str, gives: tuple[str, ...]) -> str | None:
    """Why image transforms can't be applied to a dataset's samples; None when they can or nothing is known."""
    own = [part for part, items in transform.settings.items() if items not in ("auto", [])]
    if not gives or "image" in gives or not (own or transform.name not in ("auto", "none", "")):
        return None
    culprit = transform.name if transform.name != "auto" else f"transform.{own[0]}"
    return f"transform: '{culprit}' changes images, but dataset '{dataset}' gives a {gives[0]}. Use transform=auto."


def split_problems(split: Component) -> list[str]:
    """Which settings of a split do not go together."""
    values, name = split.settings, split.name
    group, column, folds, fold = (values.get(key) for key in ("group", "column", "folds", "fold"))
    has_column = column not in (None, "auto")
    problems = []
    if folds is not None and fold is not None and fold >= folds:
        problems.append(f"split.fold: {fold} is no fold of split.folds={folds}, which are 0 to {folds - 1}.")
    if folds is None and fold:
        problems.append(f"split.fold: {fold} has no effect without split.folds. Add split.folds=5.")
    if folds is not None and (name in ("time", "column", "folders") or has_column):
        problems.append(f"split.folds: folds are made at random or of groups, not with {_cut_by(name, column)}.")
    if group is not None and (name in ("random", "time", "column", "folders") or has_column):
        problems.append(
            f"split.group: groups do not go with {_cut_by(name, column)}. Use split=group, or leave it out."
        )
    if has_column and name in ("random", "group", "time", "folders"):
        problems.append(f"split.column: a column does not go with split={name}. Use split=column, or leave it out.")
    if name == "group" and group is None and not has_column:
        problems.append(
            "split.group: split=group needs the column whose rows stay together, as split.group=patient_id."
        )
    if name == "column" and column is None:
        problems.append("split.column: split=column needs a column. Give its name, or split.column=auto.")
    val, test = values.get("val_fraction"), values.get("test_fraction")
    if isinstance(val, float) and isinstance(test, float) and folds is None and test < 1 <= val + test:
        problems.append(
            f"split.val_fraction and split.test_fraction: {val:g} and {test:g} leave nothing to train on; their sum "
            "must be below 1."
        )
    return problems


def _cut_by(name: str, column: Any) -> str:
    return f"split={name}" if name not in ("auto", "group") else f"split.column={column}"


def views_problem(views: str, gives: tuple[str, ...]) -> str | None:
    """Why evaluation can't average several views of a sample; None when it can or nothing is known."""
    layouts = _layouts(gives)
    if views == "one" or not layouts or "image" in layouts:
        return None
    return f"train.eval_views: '{views}' mirrors images, but these data are a {layouts[0]}. Use train.eval_views=one."


def task_problems(
    gives: tuple[str, ...], dataset: str, loss: str, metrics: Any, monitor: Any, folders: tuple[Path, ...] = ()
) -> list[str]:
    """Which of loss, metrics and monitored metric are for another task than the dataset's."""
    task = task_of(gives)
    chosen = [("loss", "loss", loss)]
    chosen += [("metrics", "metric", name) for item in (metrics if isinstance(metrics, list) else []) for name in item]
    if isinstance(monitor, str) and monitor not in ("val/loss", "auto"):
        chosen.append(("train.monitor", "metric", monitor.removeprefix("val/")))
    problems = []
    for key, group, name in chosen:
        tasks = _tasks(group, name, folders)
        if task is not None and tasks and task not in tasks:
            fitting = [
                other for other in schema.readable_names(group, folders) if task in _tasks(group, other, folders)
            ]
            problems.append(
                f"{key}: '{name}' is for {' or '.join(tasks)}, but dataset '{dataset}' is {task}. "
                f"What fits: {join_words(fitting)}."
            )
    return problems


def _tasks(group: str, name: str, folders: tuple[Path, ...]) -> tuple[str, ...]:
    """The tasks that a loss or metric declares; empty when it declares none."""
    declaration = schema.find(group, name, folders)
    return declaration.facts.get("task", ()) if declaration else ()
