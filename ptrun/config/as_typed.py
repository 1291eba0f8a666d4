"""Overrides whose values Hydra's grammar would refuse or change, quoted so that they arrive as they were typed.

Hydra has no word for `Müller/x.csv`, `data (1).csv` or `~/x.csv`, and reads `2020_21` as the number 202021.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from ptrun.config import schema
from ptrun.config.folders import shipped_conf
from ptrun.config.run_config import GROUPS, SWEEP
from ptrun.config.types import ListOf, Plain, Type

_GRAMMAR = frozenset("'\"{}$\\")
_FUNCTION = re.compile(
    r"(choice|range|interval|glob|sort|shuffle|tag|extend_list|int|float|str|bool|json_str)\(.*\)$", re.DOTALL
)


def as_typed(text: str, folders: tuple[Path, ...] = ()) -> str:
    """`key=value` with quotes around the words that Hydra would refuse or, where a text is expected, would change.

    Commas keep their meaning: they separate the items of a list and the values of a sweep. A text that can't be
    understood this way stays as it is, and is refused where it is parsed.
    """
    key, equals, value = text.partition("=")
    if not equals or value != value.strip() or key != key.strip() or _follows_grammar(value):
        return text
    words = _words(value)
    needs_quotes = {word for word in words if _parse(f"key={word}") is None}
    changed = {word for word in words if _would_change(word)}
    if changed and takes_text(key.lstrip("+"), folders):
        needs_quotes |= changed
    if not needs_quotes:
        return text
    quoted = ",".join(
        QuotedString(word, Quote.single).with_quotes() if word in needs_quotes else word for word in words
    )
    quoted = f"{key}=[{quoted}]" if _is_list(value) else f"{key}={quoted}"
    return text if _parse(quoted) is None else quoted


def _follows_grammar(value: str) -> bool:
    """Whether a value is written in Hydra's grammar on purpose: quoted, nested, a reference or a function."""
    nested = value[1:-1] if _is_list(value) else value
    several = "," in value or value[:1] == "["
    return bool(_GRAMMAR & set(value) or _FUNCTION.match(value) or (several and {"[", "]"} & set(nested)))


def _is_list(value: str) -> bool:
    return value[:1] == "[" and value[-1:] == "]"


def _words(value: str) -> list[str]:
    """The items of a list, or the comma-separated values of a sweep, or the one value."""
    return [word.strip() for word in (value[1:-1] if _is_list(value) else value).split(",")]


def _would_change(word: str) -> bool:
    """Whether a word would become a number or a bool that reads differently."""
    override = _parse(f"key={word}")
    if override is None or override.is_sweep_override():
        return False
    value = override.value()
    return isinstance(value, bool | int | float) and (str(value) != word or math.isnan(value))


def takes_text(key: str, folders: tuple[Path, ...] = ()) -> bool:
    """Whether a setting of that dotted name, of any component of its group, takes a text or path and no bool."""
    types = declared_types(key, folders)
    return any(_has(declared, ("str", "path")) for declared in types) and not any(
        _has(kind, ("bool",)) for kind in types
    )


def takes_list(key: str) -> bool:
    """Whether a setting of that dotted name takes a list."""
    return any(isinstance(kind, ListOf) for declared in declared_types(key, ()) for kind in declared.alternatives)


def declared_types(key: str, folders: tuple[Path, ...], choices: Sequence[str] = ()) -> list[Type]:
    """The types of the settings of that dotted name, of these components of its group, or of all."""
    group, _, name = key.partition(".")
    if group in (*GROUPS, SWEEP) and name:
        files = [schema.find(group, choice, folders) for choice in choices or schema.readable_names(group, folders)]
        return [file.keys[name].type for file in files if file is not None and name in file.keys]
    roots = [schema.read(shipped_conf() / f"{root}.yaml").keys for root in ("train", "eval", "export")]
    declared = {name: key for keys in roots for name, key in keys.items()}
    return [declared[key].type] if key in declared else []


def _has(declared: Type, kinds: tuple[str, ...]) -> bool:
    return any(
        alternative.name in kinds
        if isinstance(alternative, Plain)
        else isinstance(alternative, ListOf) and isinstance(alternative.item, Type) and _has(alternative.item, kinds)
        for alternative in declared.alternatives
    )


@cache  # the same few texts are parsed at several places, and a parse takes up to a millisecond
def _parse(text: str) -> Any:
    """Hydra's reading of an override; None when it refuses it."""
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        return None
