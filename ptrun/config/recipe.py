"""What a recipe chooses and sets, read from its file and those that it is based on.

Hydra merges the settings of a recipe into whatever component is chosen in the end. Settings that were written for
another component have no meaning there, so they are found here, to be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ptrun.config.folders import find_file, shipped_conf
from ptrun.config.run_config import GROUPS
from ptrun.config.yaml_file import read_checked
from ptrun.errors import ConfigError

_SAME_SETTINGS = ("device",)  # groups whose choices all have the same settings, which keep their meaning


@dataclass(frozen=True)
class LeftOut:
    """Settings of a recipe for a component that is not chosen in the end."""

    recipe: str
    group: str
    keys: tuple[str, ...]
    gone: str
    now: str

    @property
    def sentence(self) -> str:
        """What is left out, and why."""
        count = f"{len(self.keys)} setting{'s' if len(self.keys) > 1 else ''}"
        gone, now = f"{self.group}={self.gone}", f"{self.group}={self.now}"
        return f"{self.recipe} has {count} for {gone}. Left out, because {now} is chosen."


@dataclass
class Recipe:
    """choices: group → component. sections: group → settings for it. left_out: settings for other components."""

    name: str
    choices: dict[str, str]
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def with_choices(self, chosen: Mapping[str, str]) -> list[LeftOut]:
        """Choose other components, and leave out the settings of those they replace. Returns all that is left out."""
        for group, name in chosen.items():
            gone = self.choices.get(group, name)
            if gone != name and group not in _SAME_SETTINGS and self.sections.get(group):
                self.left_out.append(LeftOut(self.name, group, tuple(self.sections.pop(group)), gone, name))
            self.choices[group] = name
        return self.left_out


def read_recipe(group: str, name: str, folders: tuple[Path, ...], default_names: Mapping[str, str]) -> Recipe:
    """A recipe with those that it is based on. default_names: what is chosen without any recipe.

    Raises ConfigError when a recipe is based on itself, or a file can't be read.
    """
    return _read(group, name, folders, Recipe(f"{group}={name}", dict(default_names)), ())


def _read(group: str, name: str, folders: tuple[Path, ...], below: Recipe, above: tuple[str, ...]) -> Recipe:
    if name in above:
        raise ConfigError(f"{group}={above[0]}: the recipe is based on itself: {' → '.join((*above, name))}.")
    path = find_file(group, name, (*folders, shipped_conf()))
    if path is None:
        return below
    values = read_checked(path)
    entries = values.get("defaults")
    entries = entries if isinstance(entries, list) else []
    result = below
    for base in _bases(entries, group, name, path):
        result = _read(group, base, folders, result, (*above, name))
    result.with_choices(dict(_choices(entries)))
    result.name = f"{group}={name}"
    for section in GROUPS:
        if isinstance(values.get(section), dict):
            own = {key: value for key, value in values[section].items() if key != "name"}
            result.sections[section] = {**result.sections.get(section, {}), **own}
    return result


def _bases(entries: list[Any], group: str, name: str, path: Path) -> Iterator[str]:
    """The recipes that the defaults list of a recipe names. Raises ConfigError for a form that Hydra can't follow."""
    for entry in entries:
        if isinstance(entry, str) and entry != "_self_":
            is_absolute = entry.startswith("/")
            folder = "" if is_absolute else str(PurePosixPath(name).parent)
            yield entry.removeprefix(f"/{group}/") if is_absolute else str(PurePosixPath(folder) / entry)
        elif isinstance(entry, dict) and {str(key).strip("/") for key in entry} == {group}:
            (base,) = entry.values()
            raise ConfigError(
                f"{path}: a recipe is based on another by its name alone. Write `- {base}` in its defaults."
            )


def _choices(entries: list[Any]) -> Iterator[tuple[str, str]]:
    """The components that the defaults list of a recipe chooses: `override /model: convnet`."""
    for entry in entries:
        for key, value in entry.items() if isinstance(entry, dict) else ():
            group = str(key).removeprefix("override").strip().strip("/")
            if group in GROUPS:
                yield group, str(value)
