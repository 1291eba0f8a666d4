"""What the YAML files declare: the settings of a component with their types and meanings, and facts about it.

The files are read here without Hydra and without torch, so that lists and error messages come at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ptrun.config.folders import find_file, shipped_conf
from ptrun.config.types import Type, parse_type
from ptrun.config.yaml_file import load_yaml
from ptrun.errors import ConfigError, did_you_mean, join_words

MISSING = "???"  # the default of a setting that the user has to give, in OmegaConf's notation
ANY = parse_type("any")
# Groups whose settings say everything, so that a user's file may have any name → a shipped file with the same settings.
_NAMED_BY_USERS = {"transform": "none", "checkpoint": "default"}
_LINE = re.compile(
    r"^(?P<indent> *)(?P<key>[A-Za-z_][\w.]*):(?P<value>.*?)(?:\s#\s*(?P<type>[^:]+): (?P<meaning>.*))?$"
)
_FACT = re.compile(r"^#\s*(accepts|gives|task|better):\s*(.+)$")


@dataclass(frozen=True)
class Key:
    """One setting: its dotted name within the file, default, type and meaning."""

    name: str
    default: Any
    type: Type
    meaning: str

    @property
    def required(self) -> bool:
        """Whether the user has to give a value."""
        return isinstance(self.default, str) and self.default == MISSING

    @property
    def default_text(self) -> str:
        """The default as YAML spells it, or "(required)"."""
        return "(required)" if self.required else yaml_text(self.default)


@dataclass(frozen=True)
class Schema:
    """One YAML file: what the component is, its facts and its keys (without `name`)."""

    group: str
    name: str
    path: Path
    summary: str
    facts: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, Key]


def yaml_text(value: object) -> str:
    """A plain value on one line as YAML spells it: true, null, [1, 2]."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(yaml_text(item) for item in value)}]"
    return "null" if value is None else str(value)


def shown(value: object) -> str:
    """A value in a sentence: a text in quotes, and all else as YAML spells it."""
    return repr(value) if isinstance(value, str) else yaml_text(value)


def names(group: str, folders: tuple[Path, ...] = ()) -> list[str]:
    """Names of the YAML files of a group, shipped and in the given folders; `vision/small` for one in a sub-folder."""
    return sorted(
        {
            path.relative_to(folder / group).with_suffix("").as_posix()
            for folder in (shipped_conf(), *folders)
            for path in (folder / group).rglob("*.yaml")
        }
    )


def readable_names(group: str, folders: tuple[Path, ...] = ()) -> list[str]:
    """Those of `names` whose file can be read, for a list of choices: a broken file must not hide the others."""
    readable = []
    for name in names(group, folders):
        with suppress(ConfigError):
            find(group, name, folders)
            readable.append(name)
    return readable


def find(group: str, name: str, folders: tuple[Path, ...] = ()) -> Schema | None:
    """The declaration of one component: the shipped one if there is one, else the user's, else None."""
    path = find_file(group, name, (shipped_conf(), *folders))
    return None if path is None else read(path, group, folders)


def find_stored(group: str, name: str, folders: tuple[Path, ...] = ()) -> Schema | None:
    """Like `find`, for a configuration that holds all settings: its user's file may be absent now."""
    declared = find(group, name, folders)
    return find(group, _NAMED_BY_USERS[group]) if declared is None and group in _NAMED_BY_USERS else declared


def require(group: str, name: str, folders: tuple[Path, ...] = ()) -> Schema:
    """Like `find`. Raises ConfigError with the nearest name when there is none."""
    schema = find(group, name, folders)
    if schema is None:
        available = names(group, folders)
        raise ConfigError(
            f"There is no {group} '{name}'.{did_you_mean(name, available)} Available: {join_words(available)}."
        )
    return schema


def choice(group: str, name: str, folders: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What `group=name` stands for: `name` and settings, a user's file before the shipped one. Raises ConfigError."""
    search = (*folders, shipped_conf())
    path = find_file(group, name, search)
    if path is None:
        return {"name": require(group, name, folders).name}
    values: dict[str, Any] = {}
    for file in _merge_order(path, group, search):
        values |= file.values
    values.pop("defaults", None)
    return {"name": name, **values}


@cache
def read(path: Path, group: str = "", folders: tuple[Path, ...] = ()) -> Schema:
    """Parse one YAML file and those that it is based on. Raises ConfigError when one is not a mapping."""
    facts: dict[str, tuple[str, ...]] = {}
    keys: dict[str, Key] = {}
    files = _merge_order(path, group, (shipped_conf(), *folders))
    for file in files:
        header = _header(file.text)
        facts |= {m[1]: tuple(re.split(r"[,\s]+", m[2].strip())) for line in header if (m := _FACT.match(line))}
        for key in _keys(file.text, file.values):
            keys[key.name] = _declared_by_base(key, keys.get(key.name))
    own = next(file for file in files if file.path == path)
    name = str(own.values.get("name", path.stem))
    summary = next(
        (line.lstrip("# ") for line in _header(own.text) if not _FACT.match(line) and "@package" not in line), ""
    )
    return Schema(group, name, path, summary, facts, {key: keys[key] for key in keys if key != "name"})


def _declared_by_base(key: Key, base: Key | None) -> Key:
    """A line without a type changes the default only: type and meaning are those of the file it is based on."""
    return key if base is None or key.meaning else replace(base, default=key.default)


@dataclass(frozen=True)
class _File:
    """A parsed YAML file."""

    path: Path
    text: str
    values: dict[str, Any]


def _parse(path: Path) -> _File:
    text = path.read_text(encoding="utf-8")
    return _File(path, text, load_yaml(text, path))


def _merge_order(path: Path, group: str, folders: Sequence[Path], above: tuple[Path, ...] = ()) -> list[_File]:
    """The file and the files of its group that its `defaults` list names, in the order in which Hydra merges them.

    Such a list is `defaults: [auto, _self_]`: start from auto.yaml, then take this file's own lines. `above` are the
    files that led here; one of these is not followed again.
    """
    file = _parse(path)
    defaults = file.values.get("defaults")
    bases = [entry for entry in defaults if isinstance(entry, str)] if isinstance(defaults, list) else []
    order = []
    for base in bases if "_self_" in bases else [*bases, "_self_"]:
        base_path = path if base == "_self_" else find_file(group, base, folders)
        if base_path == path:
            order.append(file)
        elif base_path is not None and base_path not in above:
            order += _merge_order(base_path, group, folders, (*above, path))
    return order


def _header(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]


def _keys(text: str, values: Mapping[str, Any]) -> Iterator[Key]:
    """Every line `key: value  # type: meaning`; keys of a nested section get a dotted name."""
    section = ""
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match or line.lstrip().startswith("#") or match["key"] in ("defaults", "hydra"):
            continue
        if len(match["indent"]) == 0:
            section = match["key"]
        name = match["key"] if len(match["indent"]) == 0 else f"{section}.{match['key']}"
        exists, default = _look_up(values, name)
        if not exists or (isinstance(default, dict) and not match["type"]):
            continue
        declared = parse_type(match["type"]) if match["type"] else ANY
        yield Key(name, default, declared, match["meaning"] or "")


def _look_up(values: Any, dotted: str) -> tuple[bool, Any]:
    for part in dotted.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return False, None
        values = values[part]
    return True, values
