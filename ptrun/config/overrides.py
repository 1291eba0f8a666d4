"""Overrides as they are typed, `KEY=VALUE`: parsed, checked and split into the jobs of a sweep, without composing."""

from __future__ import annotations

import functools
import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

from ptrun.config import schema
from ptrun.config.as_typed import as_typed
from ptrun.config.habits import dataset_for
from ptrun.config.hydra_internals import value_texts
from ptrun.config.run_config import CHOSEN
from ptrun.errors import ConfigError, did_you_mean, join_words


def quoted(text: str) -> str:
    """A text as the value of an override that means just this text, whatever it holds."""
    escaped = re.sub(r"(\\+)(?='|$)", r"\1\1", text).replace("'", "\\'").replace("${", "\\${")
    return f"'{escaped}'"


def in_shell(key: str, value: str) -> str:
    """`KEY=VALUE` as it is typed in a shell, with quotes by which the value arrives as this text."""
    mark = Quote.double if "'" in value and '"' not in value else Quote.single
    text = QuotedString(value, mark).with_quotes()
    if set("$`\\!") & set(text):
        return f"{key}={shlex.quote(text)}"
    escaped = text.replace('"', '\\"')
    return f'{key}="{escaped}"'


def parse_values(overrides: Sequence[str]) -> dict[str, Any]:
    """`a.b=value` texts → flat mapping of dotted keys to plain values. Raises ConfigError for other texts."""
    values: dict[str, Any] = {}
    problems = []
    for text in overrides:
        override = _parse(text)
        if override is None:
            problems.append(_syntax_problem(text))
        elif override.is_delete():
            problems.append(f"{text}: expected KEY=VALUE with one value.")
        elif override.is_sweep_override():
            problems.append(_several_values_problem(text))
        else:
            value = override.value()
            values[override.key_or_group] = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if problems:
        raise ConfigError(problems)
    return values


def override_problems(
    text: str, folders: tuple[Path, ...] = (), plugin_names: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """Why a text is no override, or which of its choices do not exist; empty when all is well.

    plugin_names: group → names that plugins add.
    """
    override = _parse(text)
    if override is None:
        return [_syntax_problem(text)]
    key = override.key_or_group
    if override.is_delete():
        return [
            f"{text}: a setting can't be removed. Give it a value: {key}=VALUE, or {key}=null where null is allowed."
        ]
    if key not in CHOSEN:
        return []
    available = [*schema.names(key, folders), *(plugin_names or {}).get(key, ())]
    return [
        _no_such_choice(key, choice, available, folders)
        for choice in _choices(override)
        if choice not in available and choice != "null"
    ]


def _no_such_choice(group: str, name: str, available: Sequence[str], folders: Sequence[Path]) -> str:
    misnamed = [path for folder in folders if (path := folder / group / f"{name}.yml").is_file()]
    hint = f" Hydra reads .yaml files only: {misnamed[0]}. Rename it to {misnamed[0].stem}.yaml." if misnamed else ""
    words = dataset_for(name) if group == "dataset" else ""
    nearest = f" To read {name}, type {words}." if words else did_you_mean(name, available)
    return f"{group}: there is no {group} '{name}'.{hint or nearest} Available: {join_words(available)}."


def unknown_choices(overrides: Sequence[str], folders: tuple[Path, ...] = ()) -> list[str]:
    """The overrides that choose a component without a YAML file; a plugin may have it."""
    return [text for text in overrides if _parse(text) is not None and override_problems(text, folders)]


def is_sweep(text: str) -> bool:
    """Whether an override has several values, as `seed=1,2` has."""
    override = _parse(text)
    return override is not None and override.is_sweep_override()


def refuse_sweeps(overrides: Sequence[str]) -> None:
    """Raise ConfigError for overrides that have several values, which only `-m` runs."""
    problems = [
        f"{text}: several values make a sweep, which -m starts: `ptrun train -m {text}`. "
        "A list is written in brackets, as KEY=[1,2]."
        for text in overrides
        if is_sweep(text)
    ]
    if problems:
        raise ConfigError(problems)


def without_sweeps(overrides: Sequence[str]) -> list[str]:
    """The overrides that have one value."""
    return [text for text in overrides if not is_sweep(text)]


def grid(overrides: Sequence[str], folders: tuple[Path, ...] = (), paired: Sequence[str] = ()) -> list[list[str]]:
    """The overrides of each job: all combinations in the order of Hydra's own sweeper; the last key changes fastest.

    paired: axes whose values go together, the first with the first. Raises ConfigError where they can't.
    """
    values = values_by_key(overrides, folders)
    _check_paired(paired, {key: len(texts) for key, texts in values.items()})
    first = min(paired, key=list(values).index, default="")
    choices: list[list[dict[str, str]]] = []  # for each axis, or the paired ones together: key → override
    for key, texts in values.items():
        if key == first:
            together = zip(*(values[paired_key] for paired_key in paired), strict=True)
            choices.append([dict(zip(paired, pair, strict=True)) for pair in together])
        elif key not in paired:
            choices.append([{key: text} for text in texts])
    jobs = ({key: text for choice in job for key, text in choice.items()} for job in itertools.product(*choices))
    return [[job[key] for key in values] for job in jobs]


def _check_paired(paired: Sequence[str], counts: Mapping[str, int]) -> None:
    """Raise ConfigError for keys that have no several values, or not equally many. counts: values of each key."""
    swept = [key for key, count in counts.items() if count > 1]
    if problems := [
        f"sweep.paired: '{key}' has not several values in this sweep.{did_you_mean(key, swept)} "
        f"Axes: {join_words(swept) or 'none'}."
        for key in paired
        if key not in swept
    ]:
        raise ConfigError(problems)
    if len(paired) == 1 or len(set(paired)) < len(paired):
        raise ConfigError(f"sweep.paired: expected two or more different axes, got {join_words(paired)}.")
    if len({counts[key] for key in paired}) > 1:
        numbers = join_words([f"{key} has {counts[key]} values" for key in paired])
        raise ConfigError(f"sweep.paired: {numbers}. Axes that are paired have equally many.")


def axes(overrides: Sequence[str], folders: tuple[Path, ...] = ()) -> list[str]:
    """The keys that have several values, or the one value of a sweep, as choice(1) is one."""
    return [key for key, override in by_key(overrides, folders).items() if override.is_sweep_override()]


def by_key(overrides: Sequence[str], folders: tuple[Path, ...] = ()) -> dict[str, Override]:
    """Key → its override. Of a key that is given twice the last one counts."""
    parsed = _parser(_running_config_loader()).parse_overrides([as_typed(text, folders) for text in overrides])
    return {override.get_key_element().lstrip("+"): override for override in parsed}


def text(key: str, override: Override) -> str:
    """The override of a key with one value, as it would be typed."""
    [value] = value_texts(override)
    return f"{key}={value}"


def values_by_key(overrides: Sequence[str], folders: tuple[Path, ...]) -> dict[str, list[str]]:
    """Key → its overrides with one value each. Raises ConfigError for an interval, which has no values to list."""
    values: dict[str, list[str]] = {}
    for key, override in by_key(overrides, folders).items():
        if not override.is_sweep_override():
            values[key] = [text(key, override)]
        elif override.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in value_texts(override)]
        else:
            raise ConfigError(
                f"{override.input_line}: an interval has no values to list. Write choice(...) or range(...), "
                "or search in it: sweep=tpe."
            )
    return values


def key_of(text: str) -> str:
    """The key of an override."""
    return text.partition("=")[0].lstrip("+")


def forced(text: str, folders: tuple[Path, ...] = ()) -> str:
    """`key=value` → `++key=value`, by which Hydra accepts unknown keys; our own check has a better message for them."""
    text = as_typed(text.lstrip("+"), folders)
    key = text.partition("=")[0]
    return text if key.startswith("hydra/") or key in CHOSEN else f"++{text}"


def _running_config_loader() -> ConfigLoader | None:
    running = GlobalHydra.instance()
    return running.config_loader() if running.is_initialized() else None


@functools.lru_cache(maxsize=1)
def _parser(config_loader: ConfigLoader | None) -> OverridesParser:
    """With the running Hydra's files, when it is running, so that `model=glob(conv*)` finds names."""
    return OverridesParser.create(config_loader)


def _parse(text: str) -> Override | None:
    """An override as Hydra reads it, once words that it would refuse are quoted; None when it refuses it even then."""
    return _parse_typed(as_typed(text), _running_config_loader())


@functools.lru_cache(maxsize=1024)  # the jobs of a sweep repeat their overrides: 200 are checked in half of the time
def _parse_typed(text: str, config_loader: ConfigLoader | None) -> Override | None:
    try:
        # `parse_override` forgets the files that the parser knows, and then `glob(...)` has no names to choose from.
        return _parser(config_loader).parse_overrides([text])[0]
    except HydraException:
        return None


def _choices(override: Override) -> list[str]:
    """The names that an override chooses: one, those of a list, or those of each value of a sweep."""
    values = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    names = [name for value in values for name in (value if isinstance(value, list) else [value])]
    return ["null" if name is None else str(name) for name in names]


def _several_values_problem(text: str) -> str:
    key, _, value = text.partition("=")
    return (
        f"{text}: a comma separates values, and one value is expected. Put quotes around a value that holds a comma, "
        f"and quotes for the shell around those: {in_shell(key, value)}."
    )


def _syntax_problem(text: str) -> str:
    if "=" not in text:
        return f"{text}: expected KEY=VALUE, as in train.epochs=5."
    key, _, value = text.partition("=")
    if key != key.strip() or value != value.strip():
        return f"{text}: no spaces around '='. Write {key.strip()}={value.strip()}."
    return (
        f"{text}: the value can't be read. Put quotes around a value that holds = , : {{ [ or a space, and quotes for "
        f"the shell around those: {in_shell(key, value)}."
    )
