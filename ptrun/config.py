"""Composed YAML → checked, typed, frozen RunConfig; every mistake is reported in one message.

Invariant: a RunConfig holds plain values only, everything in it has been checked against the
declarations in the YAML files, and nothing is added or changed later. Needs neither torch nor Hydra.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ptrun import schema
from ptrun.errors import ConfigError, listing, nearest
from ptrun.fieldtypes import Mismatch, Type
from ptrun.registry import Registry

GROUPS = ("model", "dataset", "transform", "loss", "optimizer", "scheduler", "device", "checkpoint", "logger")
PRESETS = ("experiment", "debug")
# Keywords that no configuration sets.
GIVEN_BY_PROGRAM = (
    "spec",
    "class_counts",
    "fitted",
    "run_dir",
    "resume_step",
    "total_epochs",
    "steps_per_epoch",
    "better",
    "restoring",
)
FORBIDDEN_KEYS = ("_target_", "_partial_", "_args_", "()")


@dataclass(frozen=True)
class Component:
    """A registered name and the settings it is built with."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainSettings:
    """The section `train`; meanings and units stand in conf/train.yaml."""

    epochs: int
    max_steps: int | None
    batch_size: int
    eval_batch_size: int | str
    num_workers: int | str
    drop_last: bool
    grad_accumulation: int
    clip_norm: float | None
    clip_value: float | None
    ema_decay: float | None
    monitor: str
    monitor_mode: str
    patience_epochs: int | None
    min_delta: float
    val_every_epochs: int
    deterministic: bool


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run."""

    model: Component
    dataset: Component
    transform: Component
    loss: Component
    optimizer: Component
    scheduler: Component
    device: Component
    checkpoint: Component
    logger: Component
    train: TrainSettings
    seed: int
    metrics: list[dict[str, Any]] | str  # each metric as {name: settings}
    plugins: list[str]
    label: str | None
    output_dir: str

    def to_dict(self) -> dict[str, Any]:
        """The same nesting as the YAML, in plain containers."""
        values: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Component):
                value = {"name": value.name, **value.settings}
            values[each.name] = asdict(value) if isinstance(value, TrainSettings) else value
        return values


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
        root = schema.read(schema.shipped_conf() / "train.yaml")
        allowed = [key for key in root.keys if "." not in key] + [*GROUPS, "train"]
        for key in composed:
            if key not in allowed:
                self.unknown(str(key), allowed, "the top level has")
        parts: dict[str, Any] = {group: self.component(group, composed.get(group)) for group in GROUPS}
        self.transform_steps(parts["transform"])
        plain = {name: key for name, key in root.keys.items() if "." not in name}
        train_keys = {name.removeprefix("train."): key for name, key in root.keys.items() if name.startswith("train.")}
        top = self.values({k: v for k, v in composed.items() if k in plain}, plain, "")
        train = self.values(composed.get("train") or {}, train_keys, "train")
        if isinstance(top.get("metrics"), list):
            top["metrics"] = [self.named("metric", each, f"metrics[{i}]") for i, each in enumerate(top["metrics"])]
        self.monitor(train.get("monitor"))
        self.pairs(parts)
        task = next(
            (fact for fact in self.gives(parts["dataset"].name) if fact in ("classification", "regression")), None
        )
        if task:
            choices = (parts["loss"].name, top.get("metrics"), train.get("monitor"))
            self.problems.extend(task_problems(task, parts["dataset"].name, *choices, self.folders))
        if self.problems:
            raise ConfigError(self.problems)
        return RunConfig(train=TrainSettings(**train), **top, **parts)

    def gives(self, dataset: str) -> tuple[str, ...]:
        """What a dataset's declaration says about its samples."""
        found = schema.find("dataset", dataset, self.folders)
        return found.facts.get("gives", ()) if found else ()

    def unknown(self, path: str, allowed: list[str], owner: str) -> None:
        prefix = path.rpartition(".")[0]
        guess = nearest(path.rpartition(".")[2], allowed)
        if guess and prefix:
            guess = guess.replace("'", f"'{prefix}.", 1)
        self.problems.append(f"{path}: there is no such key.{guess} {owner[0].upper()}{owner[1:]}: {listing(allowed)}.")

    def component(self, group: str, values: Any) -> Component:
        """Check one group's `name` and its settings."""
        if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
            names = schema.names(group, self.folders)
            self.problems.append(
                f"{group}: choose one by name, as {group}={names[0] if names else 'NAME'}. Available: {listing(names)}."
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
        registry = self.registries.get(group)
        if registry is not None and name in registry:
            return {
                key: schema.Key(key, schema.MISSING if p.default is p.empty else p.default, schema.ANY, "")
                for key, p in registry.keywords(name).items()
                if key not in GIVEN_BY_PROGRAM
            }
        known = sorted({*schema.names(group, self.folders), *(registry or ())})
        self.problems.append(
            f"{path or group}: there is no {group} '{name}'.{nearest(name, known)} Available: {listing(known)}."
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

    def transform_steps(self, transform: Component) -> None:
        """Check the named steps of the train and eval pipelines in place."""
        for part in ("train", "eval"):
            steps = transform.settings.get(part)
            if isinstance(steps, list):
                transform.settings[part][:] = [
                    self.named("step", each, f"transform.{part}[{i}]") for i, each in enumerate(steps)
                ]

    def named(self, group: str, item: Any, path: str) -> dict[str, Any]:
        """Check one item of a list, `name` or `name: {settings}`; return it as a one-key map."""
        if isinstance(item, str):
            item = {item: {}}
        if not isinstance(item, Mapping) or len(item) != 1:
            self.problems.append(f"{path}: expected one {group} as `NAME: {{settings}}`, got {_shown(item)}.")
            return {}
        name, settings = next(iter(item.items()))
        keys = self.declared(group, str(name), path.partition("[")[0])
        if keys is None:
            return {}
        return {str(name): self.values(settings or {}, keys, f"{path}.{name}", f"{group} '{name}' has")}

    def monitor(self, monitor: Any) -> None:
        """Check that the monitored metric exists."""
        if not isinstance(monitor, str) or monitor == "auto":
            return
        known = [*schema.names("metric", self.folders), *self.registries.get("metric", ())]
        part, _, name = monitor.partition("/")
        if part != "val" or name not in [*known, "loss"]:
            allowed = ["val/loss", *(f"val/{each}" for each in known)]
            self.problems.append(
                f"train.monitor: expected val/loss or val/METRIC, got '{monitor}'.{nearest(monitor, allowed)} Available: {listing(allowed)}."
            )

    def pairs(self, parts: Mapping[str, Component]) -> None:
        """Report model, loss and transform choices that can't work with the data, as far as YAML tells."""
        gives = self.gives(parts["dataset"].name)
        problem = pair_problem(parts["model"].name, parts["dataset"].name, gives, self.folders)
        if problem:
            self.problems.append(problem)
        if gives and "image" not in gives and parts["transform"].name not in ("auto", "none", ""):
            self.problems.append(
                f"transform: '{parts['transform'].name}' changes images, but dataset '{parts['dataset'].name}' gives a {gives[0]}. Use transform=auto."
            )


def pair_problem(model: str, dataset: str, gives: tuple[str, ...], folders: tuple[Path, ...] = ()) -> str | None:
    """Say why a model can't take a dataset's layout, and which models can; None when it can or nothing is known."""
    layout = next((fact for fact in gives if fact in ("image", "vector", "sequence")), None)
    found = schema.find("model", model, folders)
    accepts = found.facts.get("accepts", ()) if found else ()
    if layout is None or not accepts or layout in accepts:
        return None
    shapes = {
        "image": "images [channels, height, width]",
        "vector": "vectors [features]",
        "sequence": "sequences [steps, features]",
    }
    fitting = [
        n
        for n in schema.names("model", folders)
        if layout in schema.require("model", n, folders).facts.get("accepts", ())
    ]
    return (
        f"model: '{model}' reads {' or '.join(shapes[a] for a in accepts)}, but dataset '{dataset}' gives {shapes[layout]}. "
        f"Models that fit: {listing(fitting)}."
    )


def default_component(group: str, name: str) -> Component:
    """A shipped component with the settings of its YAML file."""
    keys = schema.require(group, name).keys
    return Component(name, {key.name: copy.deepcopy(key.default) for key in keys.values()})


def image_kind(dataset: str, folders: tuple[Path, ...] = ()) -> str:
    """ "image files", "image" (in memory) or "": what the declaration of a dataset says that it gives."""
    found = schema.find("dataset", dataset, folders)
    gives = found.facts.get("gives", ()) if found else ()
    return "image files" if "files" in gives else "image" if "image" in gives else ""


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


def _words(declared: Type) -> str:
    return declared.text.replace(" | ", " or ")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"{str(value).lower()} (a bare yes, no, on or off is read as true or false; put quotes around a word)"
    return "null" if value is None else repr(value)


def _guess(value: Any, declared: Type) -> str:
    return nearest(value, declared.choices) if isinstance(value, str) else ""
