"""`ptrun list`: what there is to choose from, read from the YAML files alone, without torch and Hydra."""

from __future__ import annotations

from pathlib import Path

from ptrun.cli.arguments import Parser, add_config_dir_flag
from ptrun.config import schema
from ptrun.config.folders import conf_folders
from ptrun.errors import ConfigError, did_you_mean, join_words
from ptrun.terminal import console

HELP = """\
ptrun list [KIND [NAME]] [flags]

  ptrun list                                   every component of every kind
  ptrun list models                            the components of one kind
  ptrun list models convnet                    one component: its settings with defaults, types and meanings
  ptrun list convnet                           the same, where no other kind has a component of that name

Kinds
{kinds}

Flags: --debug; --config-dir DIR (also list your own YAML files in DIR; those in ./conf are listed without it)
"""

KINDS = {
    "models": "model",
    "datasets": "dataset",
    "splits": "split",
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
_FACT_LABELS = {"accepts": "reads", "gives": "gives", "task": "for", "better": "better is"}


def main(argv: list[str]) -> int:
    """List all kinds, one kind, or one component. Returns the exit code."""
    parser = Parser("list")
    parser.add_argument("words", nargs="*")
    add_config_dir_flag(parser)
    options = parser.parse(argv)
    if options.help:
        print(HELP.format(kinds="\n".join(f"  {kind}" for kind in KINDS)), end="")
        return 0
    folders = conf_folders(options.config_dir)
    match options.words:
        case []:
            _print_all(folders)
        case [name] if len(kinds := _kinds_of(name, folders)) == 1:
            _print_component(kinds[0], name, folders)
        case [kind]:
            _print_kind(_plural(kind), folders)
        case [kind, name]:
            _print_component(KINDS[_plural(kind)], name, folders)
        case _:
            raise ConfigError("ptrun list: expected a kind and a name at most, as in `ptrun list models convnet`.")
    return 0


def _plural(word: str) -> str:
    """`models` for both `models` and `model`. Raises ConfigError for other words."""
    plural = {group: kind for kind, group in KINDS.items()}.get(word, word)
    if plural not in KINDS:
        raise ConfigError(
            f"ptrun list: there is no kind '{word}'.{did_you_mean(word, [*KINDS, *KINDS.values()])} "
            f"Available: {join_words(KINDS)}."
        )
    return plural


def _kinds_of(name: str, folders: tuple[Path, ...]) -> list[str]:
    """The groups that have a component of a name; none for the name of a kind."""
    if name in KINDS or name in KINDS.values():
        return []
    return [group for group in KINDS.values() if name in schema.names(group, folders)]


def _print_all(folders: tuple[Path, ...]) -> None:
    for kind, group in KINDS.items():
        print(kind)
        rows = _rows(group, folders)
        width = max((len(name) for name, _ in rows), default=0)
        for name, summary in rows:
            print(f"  {name:<{width}}  {summary}")
    print("\nMore on one: ptrun list models convnet")


def _print_kind(kind: str, folders: tuple[Path, ...]) -> None:
    console.table([kind, "what it is"], _rows(KINDS[kind], folders))
    print(f"\nMore on one: ptrun list {kind} {schema.names(KINDS[kind], folders)[0]}")


def _rows(group: str, folders: tuple[Path, ...]) -> list[tuple[str, str]]:
    return [(name, _summary(group, name, folders)) for name in schema.names(group, folders)]


def _summary(group: str, name: str, folders: tuple[Path, ...]) -> str:
    """What a component is, or why its file can't be read, which must not hide the others."""
    try:
        return schema.require(group, name, folders).summary
    except ConfigError as error:
        return str(error)


def _print_component(group: str, name: str, folders: tuple[Path, ...]) -> None:
    component = schema.require(group, name, folders)
    print(f"{name}: {component.summary}")
    for fact, words in component.facts.items():
        print(f"  {_FACT_LABELS.get(fact, fact)}: {', '.join(words)}")
    if group == "experiment":
        text = component.path.read_text(encoding="utf-8").strip()
        print(f"\n{text}\n\nRun it: ptrun train experiment={name}")
        return
    if component.keys:
        print()
        rows = [(key.name, key.default_text, key.type.text, key.meaning) for key in component.keys.values()]
        console.table(["setting", "default", "type", "meaning"], rows)
    print(f"\nUse it: {_usage(group, name)}")


def _usage(group: str, name: str) -> str:
    if group == "image_transform":
        return f"transform.train=[{name},normalize], or a line `- {name}: {{...}}` of conf/transform/*.yaml"
    return f"metrics=[{name}]" if group == "metric" else f"{group}={name}"
