"""What each YAML file declares: its keys, their types and meanings, and facts about the component.

Invariant: the YAML files are the only place where names, defaults, types and meanings of settings
stand; nothing here imports torch or Hydra.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ptrun.config.types import Type, parse_type
from ptrun.config.yaml_file import load_yaml
from ptrun.errors import ConfigError, did_you_mean

MISSING = "???"
ANY = parse_type("any")
_LINE = re.compile(
    r"^(?P<indent> *)(?P<key>[A-Za-z_][\w.]*):(?P<value>.*?)(?:\s#\s*(?P<type>[^:]+): (?P<meaning>.*))?$"
)
_FACT = re.compile(r"^#\s*(accepts|gives|task|better):\s*(.+)$")


@dataclass(frozen=True)
class Key:
    """One setting: dotted name within its file, default, type and meaning."""

    name: str
    default: Any
    type: Type
    meaning: str

    @property
    def required(self) -> bool:
        """Whether the user has to give a value."""
        return isinstance(self.default, str) and self.default == MISSING


@dataclass(frozen=True)
class Schema:
    """One YAML file: what the component is, its facts and its keys (without `name`)."""

    group: str
    name: str
    path: Path
    summary: str
    facts: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, Key]


def shipped_conf() -> Path:
    """The folder of the shipped YAML files: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def user_conf(folder: Path | None = None) -> Path | None:
    """The user's own `conf` folder in the working folder, unless it is the shipped one."""
    found = (folder or Path.cwd()) / "conf"
    return found if found.is_dir() and found.resolve() != shipped_conf().resolve() else None


def names(group: str, folders: tuple[Path, ...] = ()) -> list[str]:
    """Names of the YAML files of a group, shipped and in the given folders."""
    places = (shipped_conf(), *folders)
    return sorted({path.stem for place in places for path in (place / group).glob("*.yaml")})


def find(group: str, name: str, folders: tuple[Path, ...] = ()) -> Schema | None:
    """The declaration of one component: the shipped one if there is, else a user's, else None."""
    for place in (shipped_conf(), *folders):
        path = place / group / f"{name}.yaml"
        if path.is_file():
            return read(path, group)
    return None


def choice(group: str, name: str, folders: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What `group=name` stands for: `name` and settings, a user's own file before the shipped one. Raises ConfigError."""
    for place in (*folders, shipped_conf()):
        path = place / group / f"{name}.yaml"
        if path.is_file():
            return {"name": name, **load_yaml(path.read_text(encoding="utf-8"), path)}
    return {"name": require(group, name, folders).name}


@cache
def read(path: Path, group: str = "") -> Schema:
    """Parse one YAML file. Raises ConfigError when it is not a mapping."""
    text = path.read_text(encoding="utf-8")
    values = load_yaml(text, path)
    header = [line for line in text.splitlines() if line.startswith("#")]
    facts = {m[1]: tuple(re.split(r"[,\s]+", m[2].strip())) for line in header if (m := _FACT.match(line))}
    summary = next((line.lstrip("# ") for line in header if not _FACT.match(line) and "@package" not in line), "")
    keys = {key.name: key for key in _keys(text, values) if key.name != "name"}
    return Schema(group, str(values.get("name", path.stem)), path, summary, facts, keys)


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
        found, default = _look_up(values, name)
        if not found or (isinstance(default, dict) and not match["type"]):
            continue
        declared = parse_type(match["type"]) if match["type"] else ANY
        yield Key(name, default, declared, match["meaning"] or "")


def _look_up(values: Any, dotted: str) -> tuple[bool, Any]:
    for part in dotted.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return False, None
        values = values[part]
    return True, values


def require(group: str, name: str, folders: tuple[Path, ...] = ()) -> Schema:
    """Like `find`. Raises ConfigError with the nearest name when there is none."""
    schema = find(group, name, folders)
    if schema is None:
        known = names(group, folders)
        raise ConfigError(f"There is no {group} '{name}'.{did_you_mean(name, known)} Available: {', '.join(known)}.")
    return schema
