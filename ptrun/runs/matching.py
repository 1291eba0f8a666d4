"""Which runs have the settings that a user names, as `ptrun runs model=convnet optimizer.lr=0.1,0.01`."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.config.composition import flat
from ptrun.config.run_config import GROUPS
from ptrun.errors import CheckpointError, ConfigError, did_you_mean, join_words
from ptrun.runs import find
from ptrun.runs.folder import STATUS, RunDir

STATE = "state"  # can be asked for like a setting


def matching(folders: Sequence[Path], words: Sequence[str]) -> list[Path]:
    """The runs whose resolved configuration has all of these settings, each as KEY=VALUE or KEY=VALUE,VALUE.

    A value is a number, a word, or a pattern as conv*. Raises ConfigError for a key that none of the runs has.
    """
    wanted = {_key(word.partition("=")[0]): word.partition("=")[2] for word in words}
    if not wanted or not folders:
        return list(folders)
    settings = [_settings(folder) for folder in folders]
    _check(wanted, settings)
    pairs = zip(folders, settings, strict=True)
    return [folder for folder, values in pairs if all(_fits(values, key, text) for key, text in wanted.items())]


def _key(word: str) -> str:
    key = word.lstrip("+")
    return f"{key}.name" if key in GROUPS else key


def _settings(folder: Path) -> dict[str, Any]:
    """The settings of a run and its state; of a run whose configuration is damaged, the state alone."""
    state = {STATE: find.read_leniently(folder, STATUS).get("state")}
    try:
        return {**dict(flat(RunDir(folder).read_config())), **state}
    except CheckpointError:
        return state


def _check(wanted: Mapping[str, str], settings: Sequence[Mapping[str, Any]]) -> None:
    known = {key for values in settings for key in values}
    problems = [
        f"{key}: none of these {len(settings)} runs has such a setting.{_hint(key, known)} `ptrun show RUN` shows the "
        "settings of a run."
        for key in wanted
        if key not in known
    ]
    if problems:
        raise ConfigError(problems)


def _hint(key: str, known: Collection[str]) -> str:
    """The settings that end so, as optimizer.lr for lr, or those that look alike."""
    ends = sorted(other for other in known if other.endswith(f".{key}"))
    return f" Did you mean {join_words(ends, 3)}?" if ends else did_you_mean(key, [*sorted(known), *GROUPS])


def _fits(values: Mapping[str, Any], key: str, text: str) -> bool:
    if key not in values:
        return False
    alternatives = [text] if text[:1] in ("[", "{") else text.split(",")
    return any(_equals(values[key], alternative.strip("'\"")) for alternative in alternatives)


def _equals(value: Any, text: str) -> bool:
    if isinstance(value, bool) or value is None:
        return text.lower() == {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    if isinstance(value, list):
        return "".join(str(value).split()).replace("'", "") == "".join(text.split()).replace("'", "")
    return fnmatch.fnmatchcase(str(value), text)
