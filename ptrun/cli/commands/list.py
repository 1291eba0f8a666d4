"""`ptrun list`: what there is to choose from, read from the YAML files alone.

Invariant: needs neither torch nor Hydra.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptrun.cli.arguments import parse
from ptrun.config import schema
from ptrun.errors import ConfigError, did_you_mean, join_words
from ptrun.terminal import console

KINDS = {
    "models": "model",
    "datasets": "dataset",
    "transforms": "transform",
    "image_transforms": "image_transform",
    "losses": "loss",
    "optimizers": "optimizer",
    "schedulers": "scheduler",
    "metrics": "metric",
    "devices": "device",
    "checkpoints": "checkpoint",
    "loggers": "logger",
    "experiments": "experiment",
}


def print_components(arguments: Sequence[str], folders: tuple[Path, ...] = ()) -> int:
    """List all kinds, one kind, or one component. Raises ConfigError for a name that does not exist."""
    if not arguments:
        _all(folders)
        return 0
    kind, group = _kind(arguments[0])
    if len(arguments) == 1:
        console.table([kind, "what it is"], _rows(group, folders))
        print(f"\nMore on one: ptrun list {kind} {schema.names(group, folders)[0]}")
        return 0
    _one(group, arguments[1], folders)
    return 0


def _kind(word: str) -> tuple[str, str]:
    plural = {group: kind for kind, group in KINDS.items()}.get(word, word)
    if plural not in KINDS:
        raise ConfigError(
            f"list: there is no kind '{word}'.{did_you_mean(word, [*KINDS, *KINDS.values()])} Available: {join_words(KINDS)}."
        )
    return plural, KINDS[plural]


def _all(folders: tuple[Path, ...]) -> None:
    for kind, group in KINDS.items():
        print(f"{kind}")
        rows = _rows(group, folders)
        width = max((len(name) for name, _ in rows), default=0)
        for name, summary in rows:
            print(f"  {name:<{width}}  {summary}")
    print("\nMore on one: ptrun list models convnet")


def _rows(group: str, folders: tuple[Path, ...]) -> list[tuple[str, str]]:
    return [(name, schema.require(group, name, folders).summary) for name in schema.names(group, folders)]


def _one(group: str, name: str, folders: tuple[Path, ...]) -> None:
    found = schema.require(group, name, folders)
    print(f"{found.name}: {found.summary}")
    labels = {"accepts": "reads", "gives": "gives", "task": "for", "better": "better is"}
    for fact, words in found.facts.items():
        print(f"  {labels.get(fact, fact)}: {', '.join(words)}")
    if group == "experiment":
        print(f"\n{found.path.read_text(encoding='utf-8').strip()}\n\nRun it: ptrun train experiment={name}")
        return
    if found.keys:
        print()
        rows = [
            (key.name, "(needed)" if key.required else _shown(key.default), key.type.text, key.meaning)
            for key in found.keys.values()
        ]
        console.table(["keyword", "default", "type", "meaning"], rows)
    usage = {
        "image_transform": f"transform.train=[{name},normalize], or a line `- {name}: {{...}}` of conf/transform/*.yaml",
        "metric": f"metrics=[{name}]",
    }.get(group, f"{group}={name}")
    print(f"\nUse it: {usage}")


def _shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return "[" + ", ".join(_shown(each) for each in value) + "]"
    return str(value)


def main(argv: list[str]) -> int:
    """List components. Returns the exit code."""
    options = parse(argv)
    if options.help:
        print(f"ptrun list [{' | '.join(KINDS)}] [NAME]")
        return 0
    own = schema.user_conf()
    return print_components(options.overrides, (own,) if own else ())
