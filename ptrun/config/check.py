"""Composed YAML → checked, typed, frozen RunConfig; every mistake is reported in one message.

Invariant: a RunConfig holds plain values only, everything in it has been checked against the
declarations in the YAML files, and nothing is added or changed later. Needs neither torch nor Hydra.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.config.compatibility import given_by, pair_problem, task_of, task_problems, views_problem
from ptrun.config.folders import shipped_conf
from ptrun.config.run_config import GROUPS, Component, RunConfig, TrainSettings
from ptrun.config.types import Mismatch, Type
from ptrun.errors import ConfigError, did_you_mean, join_words
from ptrun.registry import Registry

# Keywords that no configuration sets.
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
)
FORBIDDEN_KEYS = ("_target_", "_partial_", "_args_", "()")


def check(
    composed: Mapping[str, Any],
    folders: tuple[Path, ...] = (),
    registries: Mapping[str, Registry[Any]] | None = None,
) -> RunConfig:
    """Check a composed configuration and return it typed.

    folders: the user's own conf folders, for declarations of components that are not shipped.
    registries: group → registry holding plugin components; their signatures stand in for a YAML file.
    Raises ConfigError listing every problem.
    """
    checker = _Checker(folders, registries or {})
    config = checker.run(composed)
    if checker.problems:
        raise ConfigError(checker.problems)
    return config


def check_section(values: Mapping[str, Any], keys: Mapping[str, schema.Key]) -> dict[str, Any]:
    """Check a flat section against its declared keys and fill in defaults. Raises ConfigError listing every problem."""
    checker = _Checker((), {})
    checked = checker.values(values, keys, "")
    if checker.problems:
        raise ConfigError(checker.problems)
    return checked


def refuse_code(values: Any, where: str = "") -> Iterator[str]:
    """Yield a problem for every key by which Hydra or logging would call a function named in YAML."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            path = f"{where}.{key}" if where else str(key)
            if key in FORBIDDEN_KEYS:
                yield f"{path}: '{key}' names code to run, which no ptrun configuration may do. Use `plugins=[FILE.py]` on the command line to add components."
            yield from refuse_code(value, path)
    elif isinstance(values, list | tuple):
        for position, value in enumerate(values):
            yield from refuse_code(value, f"{where}[{position}]")


class _Checker:
    """Collects problems while reading the configuration once, top to bottom."""

    def __init__(self, folders: tuple[Path, ...], registries: Mapping[str, Registry[Any]]) -> None:
        self.folders = folders
        self.registries = registries
        self.problems: list[str] = []

    def run(self, composed: Mapping[str, Any]) -> RunConfig:
        self.problems.extend(refuse_code(composed))
        root = schema.read(shipped_conf() / "train.yaml")
        allowed = [key for key in root.keys if "." not in key] + [*GROUPS, "train"]
        for key in composed:
            if key not in allowed:
                self.unknown(str(key), allowed, "the top level has", self.elsewhere(str(key), composed))
        parts: dict[str, Any] = {group: self.component(group, composed.get(group)) for group in GROUPS}
        self.image_transforms(parts["transform"])
        plain = {name: key for name, key in root.keys.items() if "." not in name}
        train_keys = {name.removeprefix("train."): key for name, key in root.keys.items() if name.startswith("train.")}
        top = self.values({k: v for k, v in composed.items() if k in plain}, plain, "")
        train = self.values(composed.get("train") or {}, train_keys, "train")
        if isinstance(top.get("metrics"), list):
            top["metrics"] = [self.named("metric", each, f"metrics[{i}]") for i, each in enumerate(top["metrics"])]
        self.monitor(train.get("monitor"))
        self.pairs(parts, str(train.get("eval_views")))
        task = task_of(given_by(parts["dataset"], self.folders))
        if task:
            choices = (parts["loss"].name, top.get("metrics"), train.get("monitor"))
            self.problems.extend(task_problems(task, parts["dataset"].name, *choices, self.folders))
        if self.problems:
            raise ConfigError(self.problems)
        return RunConfig(train=TrainSettings(**train), **top, **parts)

    def elsewhere(self, name: str, composed: Mapping[str, Any]) -> str:
        """Where a setting of this name is, if a person left out its group."""
        found = [
            f"'{group}.{name}'"
            for group in ("train", *GROUPS)
            if isinstance(composed.get(group), Mapping) and name in composed[group] and name != "name"
        ]
        return f" Did you mean {' or '.join(found)}?" if found else ""

    def unknown(self, path: str, allowed: list[str], owner: str, meant: str = "") -> None:
        """Report a key that does not exist, with the nearest one that does."""
        prefix, _, last = path.rpartition(".")
        guess = meant or did_you_mean(last, allowed)
        if guess and prefix:
            guess = guess.replace("'", f"'{prefix}.", 1)
        has = (
            f"{owner[0].upper()}{owner[1:]}: {join_words(allowed)}."
            if allowed
            else f"{owner[0].upper()}{owner[1:]} no settings."
        )
        if "'auto'" in owner:
            has = f"With {prefix}=auto the data decide; choose one by name to change its settings (`ptrun list {prefix}`)."
        self.problems.append(f"{path}: there is no such key.{guess} {has}")

    def component(self, group: str, values: Any) -> Component:
        """Check one group's `name` and its settings."""
        if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
            names = schema.names(group, self.folders)
            self.problems.append(
                f"{group}: choose one by name, as {group}={names[0] if names else 'NAME'}. Available: {join_words(names)}."
            )
            return Component("")
        name = values["name"]
        settings = {str(key): value for key, value in values.items() if key != "name"}
        keys = self.declared(group, name)
        if keys is None:
            return Component(name)
        checked = self.values(settings, keys, group, f"{group} '{name}' has")
        return Component(name, checked)

    def declared(self, group: str, name: str, path: str | None = None) -> Mapping[str, schema.Key] | None:
        """Keys of a component: from its YAML, or from the signature of a plugin's function."""
        found = schema.find(group, name, self.folders)
        if found is not None:
            return found.keys
        registry, noun = self.registries.get(group), group.replace("_", " ")
        if registry is not None and name in registry:
            return {
                key: schema.Key(key, schema.MISSING if p.default is p.empty else p.default, schema.ANY, "")
                for key, p in registry.keywords(name).items()
                if key not in GIVEN_BY_PROGRAM
            }
        known = sorted({*schema.names(group, self.folders), *(registry or ())})
        self.problems.append(
            f"{path or group}: there is no {noun} '{name}'.{did_you_mean(name, known)} Available: {join_words(known)}."
        )
        return None

    def values(self, given: Any, keys: Mapping[str, schema.Key], prefix: str, owner: str = "") -> dict[str, Any]:
        """Check given values against declared keys; fill in defaults; report all that is wrong."""
        if not isinstance(given, Mapping):
            self.problems.append(f"{prefix}: expected settings as {prefix}.KEY=VALUE, got {given!r}.")
            return {}
        for key in given:
            if key not in keys:
                self.unknown(
                    f"{prefix}.{key}" if prefix else str(key), list(keys), owner or f"{prefix or 'the top level'} has"
                )
        return {
            name: self.value(given.get(name, key.default), key, f"{prefix}.{name}" if prefix else name)
            for name, key in keys.items()
        }

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
                f"{path}: expected {_words(key.type)}, got {_shown(value)}.{_guess(value, key.type)} It means: {key.meaning or 'see the function'}."
            )
            return None

    def image_transforms(self, transform: Component) -> None:
        """Check the image transforms of the train and eval pipelines in place."""
        for part in ("train", "eval"):
            steps = transform.settings.get(part)
            if isinstance(steps, list):
                transform.settings[part][:] = [
                    self.named("image_transform", each, f"transform.{part}[{i}]") for i, each in enumerate(steps)
                ]

    def named(self, group: str, item: Any, path: str) -> dict[str, Any]:
        """Check one item of a list, `name` or `name: {settings}`; return it as a one-key map."""
        noun = group.replace("_", " ")
        if isinstance(item, str):
            item = {item: {}}
        if not isinstance(item, Mapping) or len(item) != 1:
            self.problems.append(f"{path}: expected one {noun} as `NAME: {{settings}}`, got {_shown(item)}.")
            return {}
        name, settings = next(iter(item.items()))
        keys = self.declared(group, str(name), path.partition("[")[0])
        if keys is None:
            return {}
        return {str(name): self.values(settings or {}, keys, f"{path}.{name}", f"{noun} '{name}' has")}

    def monitor(self, monitor: Any) -> None:
        """Check that the monitored metric exists."""
        if not isinstance(monitor, str) or monitor == "auto":
            return
        known = [*schema.names("metric", self.folders), *self.registries.get("metric", ())]
        part, _, name = monitor.partition("/")
        if part != "val" or name not in [*known, "loss"]:
            allowed = ["val/loss", *(f"val/{each}" for each in known)]
            self.problems.append(
                f"train.monitor: expected val/loss or val/METRIC, got '{monitor}'.{did_you_mean(monitor, allowed)} Available: {join_words(allowed)}."
            )

    def pairs(self, parts: Mapping[str, Component], eval_views: str) -> None:
        """Report model, transform and evaluation choices that can't work with the data, as far as YAML tells."""
        gives = given_by(parts["dataset"], self.folders)
        views = views_problem(eval_views, gives)
        if views:
            self.problems.append(views)
        problem = pair_problem(parts["model"].name, parts["dataset"].name, gives, self.folders)
        if problem:
            self.problems.append(problem)
        transform = parts["transform"]
        own = [part for part, steps in transform.settings.items() if steps not in ("auto", [])]
        if gives and "image" not in gives and (own or transform.name not in ("auto", "none", "")):
            self.problems.append(
                f"transform: '{transform.name if transform.name != 'auto' else f'transform.{own[0]}'}' changes images, but dataset '{parts['dataset'].name}' gives a {gives[0]}. Use transform=auto."
            )


def _words(declared: Type) -> str:
    words = ["true or false" if each == "bool" else each for each in declared.text.split(" | ")]
    return " or ".join(words)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"{str(value).lower()} (a bare yes, no, on or off is read as true or false; put quotes around a word)"
    return "null" if value is None else repr(value)


def _guess(value: Any, declared: Type) -> str:
    return did_you_mean(value, declared.choices) if isinstance(value, str) else ""
