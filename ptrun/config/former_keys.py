"""The settings of the group `split` under the names that they had as settings of a dataset.

They are understood on the command line, in YAML files and in stored configurations. A data set of a plugin that has a
setting of such a name keeps it.
"""

from __future__ import annotations

import difflib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.registry import Registry

FORMER = {
    "dataset.val_fraction": "split.val_fraction",
    "dataset.test_fraction": "split.test_fraction",
    "dataset.split_seed": "split.seed",
}
# How samples were divided in runs that are older than the group.
OF_OLD_RUNS: Mapping[str, Any] = {"column": None, "duplicates": "apart"}


def own_keys(dataset: str, folders: tuple[Path, ...], registries: Mapping[str, Registry[Any]]) -> Container[str]:
    """The settings that a data set has itself."""
    declaration = schema.find("dataset", dataset, folders)
    if declaration is not None:
        return declaration.keys
    registry = registries.get("dataset")
    return registry.keywords(dataset) if registry is not None and dataset in registry else tuple(_former())


def split_of_old_runs() -> dict[str, Any]:
    """What the group `split` is for a configuration that was stored before there was one."""
    return {**schema.choice("split", "auto"), **OF_OLD_RUNS}


def with_split(values: Mapping[str, Any], own: Container[str], split: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with its split settings in the group `split`. own: settings that the data set has itself.

    split: what an absent group means.
    """
    values = dict(values)
    dataset, current = values.get("dataset"), values.get("split")
    group = {**split, **current} if isinstance(current, Mapping) else dict(split)
    if isinstance(dataset, Mapping):
        former = {key: new for key, new in _former().items() if key in dataset and key not in own}
        defaults = schema.choice("split", "auto")
        for key, new in former.items():
            if group.get(new, defaults[new]) == defaults[new]:  # a value that was given under the new name counts
                group[new] = dataset[key]
        values["dataset"] = {key: value for key, value in dataset.items() if key not in former}
    return {**values, "split": group}


def renamed(changes: Mapping[str, Any], own: Container[str]) -> dict[str, Any]:
    """Changes of settings (dotted key → value) by their current names."""
    former = {key: new for key, new in FORMER.items() if key.partition(".")[2] not in own}
    return {former.get(key, key): value for key, value in changes.items()}


def suggestion(name: str) -> str:
    """What to type for a setting that a dataset does not have, where the group `split` has one of such a name."""
    former = _former()
    near = difflib.get_close_matches(name, [*former, *schema.require("split", "auto").keys], n=1, cutoff=0.7)
    return f" Did you mean 'split.{former.get(near[0], near[0])}'?" if near else ""


def _former() -> dict[str, str]:
    return {old.partition(".")[2]: new.partition(".")[2] for old, new in FORMER.items()}
