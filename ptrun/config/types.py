"""The types that a YAML comment can declare, such as `int >= 1 | auto`, and the check of a value against one.

`convert` returns a plain Python value of the declared type or raises Mismatch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NUMBER = re.compile(r"^(int|float)(?:\s*(>=|>|<=|<)\s*(\S+)|\s+in\s+([\[(])\s*(\S+)\s*,\s*(\S+?)\s*([\])]))?$")


class Mismatch(Exception):
    """The value is not of the declared type."""


@dataclass(frozen=True)
class Number:
    """An int or float within bounds. NaN and infinity are outside of all bounds."""

    integer: bool
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = True
    high_open: bool = True

    def convert(self, value: Any) -> int | float:
        """Accept numbers and texts of numbers. `1e3` is an int where an int is declared."""
        if isinstance(value, bool):
            raise Mismatch
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise Mismatch from None
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise Mismatch
        if self.integer and value != int(value):
            raise Mismatch
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        if not (above and below):
            raise Mismatch
        return int(value) if self.integer else float(value)


@dataclass(frozen=True)
class Literal:
    """One exact word, or null."""

    value: str | None

    def convert(self, value: Any) -> str | None:
        """Accept the word itself; YAML 1.1 reads a bare `none` as text and `null` as None."""
        if value == self.value and not isinstance(value, bool):
            return self.value
        raise Mismatch


@dataclass(frozen=True)
class Plain:
    """bool, str, path, map or any."""

    name: str

    def convert(self, value: Any) -> Any:
        """Accept values of that kind."""
        if self.name == "any":
            return value
        if self.name == "bool" and isinstance(value, bool):
            return value
        if self.name == "map" and isinstance(value, Mapping):
            return dict(value)
        if self.name in ("str", "path") and isinstance(value, str) and value:
            return value
        if self.name in ("str", "path") and isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        raise Mismatch


@dataclass(frozen=True)
class ListOf:
    """A list whose items are all of one type."""

    item: Type

    def convert(self, value: Any) -> list[Any]:
        """Accept lists; a single value is not a list."""
        if not isinstance(value, list | tuple):
            raise Mismatch
        return [self.item.convert(item) for item in value]


@dataclass(frozen=True)
class Type:
    """Alternatives, tried in order; `text` is how the declaration was written."""

    alternatives: tuple[Number | Literal | Plain | ListOf, ...]
    text: str

    def convert(self, value: Any) -> Any:
        """Return the value as the first alternative that takes it. Raises Mismatch."""
        for alternative in self.alternatives:
            try:
                return alternative.convert(value)
            except Mismatch:
                continue
        raise Mismatch

    @property
    def choices(self) -> tuple[str, ...]:
        """The literal words among the alternatives."""
        return tuple(a.value for a in self.alternatives if isinstance(a, Literal) and a.value is not None)


def parse_type(text: str) -> Type:
    """Read a declaration such as `float in [0, 1) | null`."""
    literals_first = sorted(
        (_parse_one(part.strip()) for part in _split(text)), key=lambda a: not isinstance(a, Literal)
    )
    return Type(tuple(literals_first), text.strip())


def _split(text: str) -> list[str]:
    """Split at `|` outside of list[...] and of intervals, whose ends may be brackets or parentheses."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "[(") - (character in "])")
        if character == "|" and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _parse_one(text: str) -> Number | Literal | Plain | ListOf:
    if text.startswith("list[") and text.endswith("]"):
        return ListOf(parse_type(text[5:-1]))
    if text == "list":
        return ListOf(parse_type("any"))
    if text in ("bool", "str", "path", "map", "any"):
        return Plain(text)
    match = _NUMBER.match(text)
    if not match:
        return Literal(None if text == "null" else text)
    kind, sign, bound, opening, low, high, closing = match.groups()
    integer = kind == "int"
    if sign in (">=", ">"):
        return Number(integer, low=float(bound), low_open=sign == ">")
    if sign in ("<=", "<"):
        return Number(integer, high=float(bound), high_open=sign == "<")
    if opening:
        return Number(integer, float(low), float(high), opening == "(", closing == ")")
    return Number(integer)
