"""The axes of a search, from overrides in Hydra's grammar: `optimizer.lr=tag(log, interval(1e-4, 1e-1))`, `model=a,b`.

An interval of a setting that takes whole numbers only is one of whole numbers. `tag(log, ...)` makes steps of equal
ratios; `int(...)` and `tag(int, ...)` make whole numbers, as in Hydra's own sweepers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from ptrun.config.as_typed import declared_types
from ptrun.config.hydra_internals import value_texts
from ptrun.config.types import Literal, Number, Type
from ptrun.errors import ConfigError

Value = str | int | float

_DIGITS = 4  # significant ones, so that a proposal can be read and typed


@dataclass(frozen=True)
class Axis:
    """What a search may choose for one key: one of `choices`, which are texts, or a number from low to high.

    step: between numbers; None for all of them, or for all whole ones.
    within: choices of the key's own group that have this setting; None where all have it.
    """

    key: str
    choices: Sequence[str] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    integer: bool = False
    within: Sequence[str] | None = None

    @property
    def group(self) -> str:
        """The first part of the key."""
        return self.key.partition(".")[0]

    @property
    def ends(self) -> Sequence[Value]:
        """All choices, or the lowest and the highest number."""
        return self.choices or [self.number(self.low), self.number(self.high)]

    def number(self, value: float) -> int | float:
        """A number on this axis, whole or with a few digits."""
        if self.step is not None:
            value = float(f"{self.low + self.step * round((value - self.low) / self.step):.10g}")
        if self.integer:
            return round(value)
        if self.step is not None:
            return value
        scale = abs(value) if self.log else self.high - self.low
        places = _DIGITS - 1 - math.floor(math.log10(scale)) if scale else 0
        return min(max(round(float(value), places), self.low), self.high)

    def contains(self, value: Any) -> bool:
        """Whether a value, of an earlier command perhaps, lies on this axis."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high and self.number(value) == value

    def override(self, value: Value) -> str:
        """`key=value`."""
        return f"{self.key}={value}"


def parse_axis(key: str, override: Override, folders: tuple[Path, ...], choices: Sequence[str] = ()) -> Axis:
    """The axis of an override with several values. Raises ConfigError for one that can't be searched.

    choices: the components of the key's group that the search can choose.
    """
    value = override.value()
    if isinstance(value, IntervalSweep):
        ends = float(value.start), float(value.end)  # type: ignore[arg-type]
        whole = "int" in value.tags or all(isinstance(end, int) for end in (value.start, value.end))
        integer = whole or _takes_whole_numbers_only(declared_types(key, folders, choices))
        return _checked(Axis(key, (), *ends, log="log" in value.tags, integer=integer), override)
    texts = value_texts(override)
    if not isinstance(value, RangeSweep):
        return Axis(key, texts)
    numbers = sorted(map(float, texts))
    integer = all(isinstance(part, int) for part in (value.start, value.stop, value.step))
    step = abs(float(value.step))
    declared = Axis(key, (), numbers[0], numbers[-1], step, "log" in value.tags, integer)
    return _checked(declared if not (integer and step == 1) else replace(declared, step=None), override)


def _checked(declared: Axis, override: Override) -> Axis:
    text = override.input_line
    if not declared.low < declared.high:
        raise ConfigError(f"{text}: the first number has to be below the second.")
    if declared.log and declared.low <= 0:
        raise ConfigError(f"{text}: a logarithmic axis begins above 0.")
    if declared.log and declared.step is not None:
        raise ConfigError(f"{text}: a logarithmic axis has no steps. Write tag(log, interval(...)).")
    if (declared.integer and declared.low != int(declared.low)) or (
        declared.integer and declared.high != int(declared.high)
    ):
        raise ConfigError(f"{text}: {declared.key} takes whole numbers, so both ends have to be whole.")
    return declared


def _takes_whole_numbers_only(declared: Sequence[Type]) -> bool:
    """Whether a setting of each of these types is a whole number, or a word."""
    types = [alternative for kind in declared for alternative in kind.alternatives]
    numbers = [kind for kind in types if isinstance(kind, Number)]
    return (
        bool(numbers) and all(isinstance(kind, Number | Literal) for kind in types) and all(n.integer for n in numbers)
    )
