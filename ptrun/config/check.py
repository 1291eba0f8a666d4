"""Composed YAML → checked, typed RunConfig. One error reports every mistake.

Names, types and bounds are those that the YAML files declare. Needs neither torch nor Hydra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.config.compatibility import (
    given_by,
    model_problem,
    split_problems,
    task_problems,
    transform_problem,
    views_problem,
)
from ptrun.config.folders import shipped_conf
from ptrun.config.former_keys import own_keys, with_split
from ptrun.config.former_keys import suggestion as former_suggestion
from ptrun.config.habits import dataset_for, is_data
from ptrun.config.run_config import GROUPS, Component, RunConfig, TrainSettings
from ptrun.config.types import Mismatch, Type
from ptrun.errors import ConfigError, did_you_mean, join_words
from ptrun.registry import Registry

# Keywords of component functions that the program passes, so that no configuration may set them.
GIVEN_BY_PROGRAM = (
    "spec",
    "class_counts",
    "fitted",
    "run_dir",
    "resume_step",
    "sample_inputs",
    "total_epochs",
    "steps_per_epoch",
    "better",
    "restoring",
    "splitting",
)
_Find = Callable[[str, str, tuple[Path, ...]], schema.Schema | None]
FORBIDDEN_KEYS = ("_target_", "_partial_", "_args_", "()")


def check(
    composed: Mapping[str, Any],
    folders: tuple[Path, ...] = (),
    registries: Mapping[str, Registry[Any]] | None = None,
    *,
    is_stored: bool = False,
) -> RunConfig:
    """Check a composed configuration, or with `is_stored` that of a run, and return it typed.

    folders: the user's own conf folders, for declarations of components that are not shipped.
    registries: group → registry, for plugins' components without a YAML file: their signatures declare the settings.
    Raises ConfigError listing every problem.
    """
    checker = _Checker(folders, registries or {}, schema.find_stored if is_stored else schema.find)
    config = checker.run(_with_split(composed, folders, registries or {}))
    if checker.problems:
        raise ConfigError(checker.problems)
    return config


def _with_split(
    composed: Mapping[str, Any], folders: tuple[Path, ...], registries: Mapping[str, Registry[Any]]
) -> Mapping[str, Any]:
    """The configuration with what stands under former names in the group `split`, which older files lack."""
    dataset = composed.get("dataset")
    name = dataset.get("name") if isinstance(dataset, Mapping) else None
    if not isinstance(name, str) or not isinstance(composed.get("split", {}), Mapping):
        return composed
    return with_split(composed, own_keys(name, folders, registries), {"name": "auto"})


def check_section(values: Mapping[str, Any], keys: Mapping[str, schema.Key], name: str = "") -> dict[str, Any]:
    """Check flat settings against their declared keys and add defaults. Raises ConfigError listing every problem.

    name: of the section, for messages.
    """
    checker = _Checker((), {}, schema.find)
    settings = checker.settings(values, keys, name)
    if checker.problems:
        raise ConfigError(checker.problems)
    return settings


def refuse_code(values: Any, where: str = "") -> Iterator[str]:
    """Yield a problem for every key by which Hydra or logging would call a function named in YAML."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            path = f"{where}.{key}" if where else str(key)
            if key in FORBIDDEN_KEYS:
                yield (
                    f"{path}: '{key}' names code to run, which no ptrun configuration may do. "
                    "Use `plugins=[FILE.py]` on the command line to add components."
                )
            yield from refuse_code(value, path)
    elif isinstance(values, list | tuple):
        for position, value in enumerate(values):
            yield from refuse_code(value, f"{where}[{position}]")


class _Checker:
    """Reads a configuration once, from top to bottom, and collects its problems instead of raising the first one."""

    def __init__(self, folders: tuple[Path, ...], registries: Mapping[str, Registry[Any]], find: _Find) -> None:
        self.folders, self.registries, self.find = folders, registries, find
        self.problems: list[str] = []
        self.composed: Mapping[str, Any] = {}

    def run(self, composed: Mapping[str, Any]) -> RunConfig:
        self.composed = composed
        self.problems.extend(refuse_code(composed))
        declared = schema.read(shipped_conf() / "train.yaml").keys
        top_keys = {name: key for name, key in declared.items() if "." not in name}
        train_keys = {name.removeprefix("train."): key for name, key in declared.items() if name.startswith("train.")}
        allowed = [*top_keys, *GROUPS, "train"]
        for name in composed:
            if name not in allowed:
                self.unknown(str(name), allowed, "the top level has", _suggestion(str(name), composed))
        components: dict[str, Any] = {group: self.component(group, composed.get(group)) for group in GROUPS}
        self.image_transforms(components["transform"])
        top = self.settings({name: value for name, value in composed.items() if name in top_keys}, top_keys, "")
        train = self.settings(composed.get("train") or {}, train_keys, "train")
        if isinstance(top.get("metrics"), list):
            top["metrics"] = [self.named("metric", item, f"metrics[{i}]") for i, item in enumerate(top["metrics"])]
        self.monitor(train.get("monitor"))
        self.compatibility(components, top.get("metrics"), train)
        if self.problems:
            raise ConfigError(self.problems)
        return RunConfig(train=TrainSettings(**train), **top, **components)

    def unknown(self, path: str, allowed: list[str], owner: str, suggestion: str = "") -> None:
        """Report a key that does not exist, with the nearest one that does. owner: "model 'convnet' has"."""
        prefix, _, last = path.rpartition(".")
        if not suggestion and (suggestion := did_you_mean(last, allowed)) and prefix:
            suggestion = suggestion.replace("'", f"'{prefix}.", 1)
        available = f"{owner[0].upper()}{owner[1:]}{f': {join_words(allowed)}' if allowed else ' no settings'}."
        if "'auto'" in owner:
            available = (
                f"With {prefix}=auto the data decide. "
                f"Choose one by name to change its settings (`ptrun list {prefix}`)."
            )
        self.problems.append(f"{path}: there is no such key.{suggestion} {available}")

    def component(self, group: str, values: Any) -> Component:
        """Check one group's `name` and its settings."""
        if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
            names = schema.names(group, self.folders)
            example = names[0] if names else "NAME"
            self.problems.append(f"{group}: choose one by name, as {group}={example}. Available: {join_words(names)}.")
            return Component("")
        name = values["name"]
        keys = self.declared(group, name)
        if keys is None:
            return Component(name)
        settings = {str(key): value for key, value in values.items() if key != "name"}
        return Component(name, self.settings(settings, keys, group, f"{group} '{name}' has"))

    def declared(self, group: str, name: str, path: str | None = None) -> Mapping[str, schema.Key] | None:
        """The settings of a component: from its YAML file, or from the signature of a plugin's function."""
        declaration = self.find(group, name, self.folders)
        if declaration is not None:
            return declaration.keys
        registry, noun = self.registries.get(group), group.replace("_", " ")
        if registry is not None and name in registry:
            return {
                key: schema.Key(key, schema.MISSING if p.default is p.empty else p.default, schema.ANY, "")
                for key, p in registry.keywords(name).items()
                if key not in GIVEN_BY_PROGRAM
            }
        names = sorted({*schema.names(group, self.folders), *(registry or ())})
        self.problems.append(
            f"{path or group}: there is no {noun} '{name}'.{did_you_mean(name, names)} Available: {join_words(names)}."
        )
        return None

    def settings(self, values: Any, keys: Mapping[str, schema.Key], prefix: str, owner: str = "") -> dict[str, Any]:
        """Check values against declared keys and add defaults. prefix: the dotted path above these keys."""
        if not isinstance(values, Mapping):
            self.problems.append(f"{prefix}: expected settings as {prefix}.KEY=VALUE, got {schema.shown(values)}.")
            return {}
        for name in values:
            if name not in keys:
                path = f"{prefix}.{name}" if prefix else str(name)
                hint = "" if did_you_mean(name, keys) else self.elsewhere(str(name), prefix)
                self.unknown(path, list(keys), owner or f"{prefix or 'the top level'} has", hint)
        return {
            name: self.value(values.get(name, key.default), key, f"{prefix}.{name}" if prefix else name)
            for name, key in keys.items()
        }

    def elsewhere(self, name: str, prefix: str) -> str:
        """A suggestion for a key that another group has, or had in an earlier version."""
        former = former_suggestion(name) if prefix == "dataset" else ""
        return former or _other_groups(
            name, {group: self.composed[group] for group in self.composed if group != prefix}
        )

    def value(self, value: Any, key: schema.Key, path: str) -> Any:
        """Convert one value to its declared type, or report it."""
        if isinstance(value, str) and value == schema.MISSING:
            self.problems.append(
                f"{path}: a value is needed ({key.type.text}: {key.meaning}). Give it as {path}=VALUE."
            )
            return None
        try:
            return key.type.convert(value)
        except Mismatch:
            self.problems.append(
                f"{path}: expected {_type_words(key.type)}, got {_value_words(value)}.{_near_choice(value, key.type)} "
                f"It means: {key.meaning or 'see the function'}."
            )
            return None

    def image_transforms(self, transform: Component) -> None:
        """Check the image transforms of the train and eval pipelines in place."""
        for part in ("train", "eval"):
            items = transform.settings.get(part)
            if isinstance(items, list):
                items[:] = [
                    self.named("image_transform", item, f"transform.{part}[{i}]") for i, item in enumerate(items)
                ]

    def named(self, group: str, item: Any, path: str) -> dict[str, Any]:
        """Check one item of a list, `name` or `name: {settings}`; return it as a one-key map."""
        noun = group.replace("_", " ")
        if isinstance(item, str):
            item = {item: {}}
        if not isinstance(item, Mapping) or len(item) != 1:
            self.problems.append(f"{path}: expected one {noun} as `NAME: {{settings}}`, got {_value_words(item)}.")
            return {}
        name, settings = next(iter(item.items()))
        keys = self.declared(group, str(name), path.partition("[")[0])
        if keys is None:
            return {}
        return {str(name): self.settings(settings or {}, keys, f"{path}.{name}", f"{noun} '{name}' has")}

    def monitor(self, monitor: Any) -> None:
        """Check that the monitored metric exists."""
        if not isinstance(monitor, str) or monitor == "auto":
            return
        available = [*schema.names("metric", self.folders), *self.registries.get("metric", ())]
        part, _, name = monitor.partition("/")
        if part != "val" or name not in [*available, "loss"]:
            allowed = ["val/loss", *(f"val/{metric}" for metric in available)]
            self.problems.append(
                f"train.monitor: expected val/loss or val/METRIC, got '{monitor}'.{did_you_mean(monitor, allowed)} "
                f"Available: {join_words(allowed)}."
            )

    def compatibility(self, components: Mapping[str, Component], metrics: Any, train: Mapping[str, Any]) -> None:
        """Report choices that can't work with the data, as far as the YAML files say."""
        dataset, transform = components["dataset"], components["transform"]
        gives = given_by(dataset, self.folders)
        problems = [
            views_problem(str(train.get("eval_views")), gives),
            model_problem(components["model"].name, dataset.name, gives, self.folders),
            transform_problem(transform, dataset.name, gives),
        ]
        self.problems.extend(problem for problem in problems if problem)
        self.problems.extend(split_problems(components["split"]))
        loss, monitor = components["loss"].name, train.get("monitor")
        self.problems.extend(task_problems(gives, dataset.name, loss, metrics, monitor, self.folders))


def _suggestion(name: str, composed: Mapping[str, Any]) -> str:
    """What to type in place of a top-level key that does not exist; "" when nothing is known."""
    words = dataset_for(str(composed[name])) if is_data(name) else ""
    return f" To read {composed[name]}, type {words}." if words else _other_groups(name, composed)


def _other_groups(name: str, composed: Mapping[str, Any]) -> str:
    """A suggestion for a setting whose group was left out, as `epochs=5` for train.epochs; "" when no group has it."""
    paths = [
        f"'{group}.{name}'"
        for group in ("train", *GROUPS)
        if isinstance(composed.get(group), Mapping) and name in composed[group] and name != "name"
    ]
    return f" Did you mean {' or '.join(paths)}?" if paths else ""


def _type_words(declared: Type) -> str:
    words = ["true or false" if word == "bool" else word for word in declared.text.split(" | ")]
    return " or ".join(words)


def _value_words(value: Any) -> str:
    if isinstance(value, bool):
        return f"{str(value).lower()} (a bare yes, no, on or off is read as true or false; put quotes around a word)"
    return schema.shown(value)


def _near_choice(value: Any, declared: Type) -> str:
    return did_you_mean(value, declared.choices) if isinstance(value, str) else ""
