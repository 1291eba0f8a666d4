"""The configuration in a checkpoint or run folder: which of its settings may change, and what changed.

Such a configuration is data from a file. It is changed key by key and then checked like any other, and it never names
plugins to import.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.config.check import check
from ptrun.config.former_keys import OF_OLD_RUNS, own_keys, renamed, split_of_old_runs, with_split
from ptrun.config.run_config import GROUPS, Component, RunConfig
from ptrun.errors import ConfigError, join_words
from ptrun.registry import Registry

Registries = Mapping[str, Registry[Any]]  # group → registry

# Top-level keys whose settings a command can change.
CHANGEABLE_WHEN_EVALUATING = ("checkpoint", "split", "output_dir", "dataset", "transform", "device", "metrics", "train")
CHANGEABLE_WHEN_REPRODUCING = ("dataset", "device", "label", "logger", "plots")  # where the data lie, where it runs
CHANGEABLE_WHEN_RESUMING = tuple(
    field.name for field in fields(RunConfig) if field.name not in ("output_dir", "plugins")
)

# Dotted keys of settings (or whole groups) that may differ between the parts of a resumed run: none of them changes
# what one optimizer step computes. `refuse_changes` refuses all others.
KEEPS_NUMBERS = (
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


# The value of a setting in configurations that are older than the setting, where it is not the default.
_ABSENT: Mapping[str, Mapping[str, Any]] = {"train": {"ema_warmup": False}}
_ABSENT_OF_DATASET: Mapping[str, Mapping[str, Any]] = {"arrays": {"layout": "by_type"}}


def complete(stored: Mapping[str, Any], registries: Registries, folders: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A stored configuration with the settings that it is too old to have, so that its run stays the same."""
    values = dict(stored)
    for section, settings in _ABSENT.items():
        if isinstance(values.get(section), Mapping):
            values[section] = {**settings, **values[section]}
    dataset = values.get("dataset")
    if isinstance(dataset, Mapping):
        values["dataset"] = {**_ABSENT_OF_DATASET.get(str(dataset.get("name")), {}), **dataset}
        if "split" not in values:
            own = own_keys(str(dataset.get("name")), folders, registries)
            values = with_split(values, own, split_of_old_runs())
    return values


def as_old_as(config: RunConfig, stored: Mapping[str, Any]) -> RunConfig:
    """A new configuration with what the stored one has for settings that are `auto` now, or did not exist then.

    `auto` becomes what was decided for the run. A setting that did not exist gets the value that it had implicitly.
    """
    absent = {key: value for key, value in _ABSENT["train"].items() if key not in stored["train"]}
    absent |= {
        key: stored["train"][key] for key, now in vars(config.train).items() if now == "auto" and key in stored["train"]
    }
    of_dataset = _ABSENT_OF_DATASET.get(config.dataset.name, {})
    absent_of_dataset = {key: value for key, value in of_dataset.items() if key not in stored["dataset"]}
    if config.model.name == "auto":
        config = replace(config, model=_stored_component(stored["model"]))
    if config.transform.name == "auto":
        config = replace(config, transform=_stored_component(stored["transform"]))
    dataset = replace(config.dataset, settings={**config.dataset.settings, **absent_of_dataset})
    split = config.split
    if "split" not in stored:
        split = replace(split, settings={**split.settings, **OF_OLD_RUNS})
    return replace(config, train=replace(config.train, **absent), dataset=dataset, split=split)


def _stored_component(values: Mapping[str, Any]) -> Component:
    return Component(str(values["name"]), {key: value for key, value in values.items() if key != "name"})


def changed_config(
    stored: Mapping[str, Any],
    changes: Mapping[str, Any],
    changeable: Sequence[str],
    registries: Registries,
    folders: tuple[Path, ...],
) -> RunConfig:
    """A stored configuration with the user's changes (dotted key → value), checked. Raises ConfigError.

    stored["plugins"] must be the files that the user named, never those of a file.
    """
    values = copy.deepcopy(complete(stored, registries, folders))
    own = own_keys(str(changes.get("dataset", values["dataset"]["name"])), folders, registries)
    _apply(values, renamed(changes, own), changeable, folders)
    _require_plugins(values, changes, registries, folders)
    return check(values, folders, registries, is_stored=True)


def without_local_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration without what only the machine of the training needs, for a checkpoint to give away.

    Of an absolute path, which may name a person, the name of the file or folder is left.
    """
    local: dict[str, Any] = {"weights": None, "plugins": [], "label": None, "output_dir": "outputs"}
    kept: dict[str, Any] = _without_folders({**stored, **local})
    return kept


def _without_folders(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith(("/", "~/")) else value


def _apply(
    values: dict[str, Any], changes: Mapping[str, Any], changeable: Sequence[str], folders: tuple[Path, ...]
) -> None:
    """Set dotted keys in a nested configuration; `group: name` takes that group's YAML file. Raises ConfigError."""
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


def _set(values: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        values = values.setdefault(part, {})
    values[parts[-1]] = value


def _require_plugins(
    values: Mapping[str, Any], changes: Mapping[str, Any], registries: Registries, folders: tuple[Path, ...]
) -> None:
    """Raise ConfigError for components that only a plugin can have, as a checkpoint must not import it by itself."""
    problems = []
    for kind, name in _components(values, changes):
        registry = registries.get(kind)
        if schema.find_stored(kind, name, folders) is None and (registry is None or name not in registry):
            problems.append(
                f"{kind.replace('_', ' ')}: '{name}' of the checkpoint is no component of ptrun. "
                "If it is yours, name its file: plugins=[FILE.py]."
            )
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _components(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and name of each component, but of metrics and image transforms only those that the user did not change."""
    yield from ((group, values[group]["name"]) for group in GROUPS)
    transform = values["transform"]
    lists = {"metrics": ("metric", [values.get("metrics")])}
    lists["transform"] = ("image_transform", [transform.get("train"), transform.get("eval")])
    for key, (kind, components) in lists.items():
        if not any(changed.partition(".")[0] == key for changed in changes):
            items = [item for listed in components if isinstance(listed, list) for item in listed]
            yield from ((kind, item if isinstance(item, str) else next(iter(item))) for item in items)


def refuse_changes(
    stored: Mapping[str, Any], config: RunConfig, allowed: Sequence[str], registries: Registries
) -> list[str]:
    """Say which settings change when a run is resumed. allowed: keys that may change although they change the numbers.

    Raises ConfigError naming the other changes that would change the numbers.
    """
    differing = differences(complete(stored, registries), config.to_dict())
    changes = [(key, schema.shown(before), schema.shown(now)) for key, before, now in differing]
    refused = [
        f"{key}: the run was started with {before}, now it is {now}; that would make another run of it. "
        f"Start a new run, or insist with --allow-change {key}."
        for key, before, now in changes
        if not key.startswith(KEEPS_NUMBERS) and key not in allowed
    ]
    if refused:
        raise ConfigError(refused)
    return [
        f"{key}: {before} until now, {now} from here on.{_effect_on_schedule(key, config, registries)}"
        for key, before, now in changes
    ]


def differences(stored: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted keys whose values differ, with both values. A new `auto` agrees with whatever was stored."""
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        if now.get("name") == "auto" and path != "split":  # split=auto stays auto, with settings of its own
            return
        for key in [*stored, *(key for key in now if key not in stored)]:
            yield from differences(stored.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif stored != now and now != "auto":
        yield path, stored, now


def _effect_on_schedule(key: str, config: RunConfig, registries: Registries) -> str:
    """What another length of the run does to the learning-rate schedule; "" for other settings."""
    if key not in ("train.epochs", "train.max_steps"):
        return ""
    name = config.scheduler.name
    if "total_epochs" in registries["scheduler"].keywords(name):
        return " The learning-rate schedule is stretched to the new length from here on."
    return f" The schedule '{name}' does not depend on the length."
