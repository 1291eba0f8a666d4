"""Numbers as people write them: decimal commas, thousands separators, currency and percent signs, parentheses.

A column is read in one form, which all of its cells have to follow. A percentage keeps its size: 45.2 % is 45.2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats.column import MISSING, Column, is_number
from ptrun.errors import DataError

_CURRENCY = r"R\$|US\$|[$€£¥₹₽₩₺₴₪₫฿₦₱]|(?:EUR|USD|GBP|CHF|JPY|CNY|INR|BRL|SEK|NOK|DKK|PLN|CZK|AUD|CAD|Kč|zł|kr)\b"
_CELL = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+−–]?)\s*(?P<before>{_CURRENCY})?\s*(?P<sign2>[-+−–]?)"
    rf"(?P<digits>[.,]?\d(?:[\d.,'’]|[ \u00a0\u202f](?=\d))*(?:[eE][-+]?\d+)?)"
    rf"(?P<sign3>[-−])?\s*(?P<after>%|{_CURRENCY})?\s*(?P<close>\))?"
)
_UNIT = re.compile(r"(?:(?<=\d)|(?<=\d ))(?:°[CF]?|[^\W\d_](?:[^\W\d_]|[/²³]){0,11})$")
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "’": "'"})
# Decimal sign and thousands separator; plain numbers first.
_FORMS = ((".", ""), (",", ""), (".", ","), (",", "."), (".", "'"), (",", "'"), (".", " "), (",", " "))

_OF_NEW_FILES = " Where a whole file for a trained model is written so, set dataset.decimal={}."


@dataclass(frozen=True)
class NumberForm:
    """How the numbers of a column are written.

    decimal, thousands: the signs within a number; "" for no thousands separator.
    symbol: the currency or percent sign that each cell has; "" for none. unit: the text that each cell ends in.
    """

    decimal: str = "."
    thousands: str = ""
    symbol: str = ""
    unit: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain values for a checkpoint."""
        form = {"decimal": self.decimal, "thousands": self.thousands, "symbol": self.symbol}
        return {**form, "unit": self.unit} if self.unit else form

    def describe(self) -> str:
        """What is special about the form, for a message."""
        parts = ["a decimal comma"] if self.decimal == "," else []
        if self.thousands:
            names = {",": "commas", ".": "points", "'": "apostrophes", " ": "spaces"}
            parts.append(f"{names[self.thousands]} between thousands")
        if self.symbol:
            parts.append(f"a sign ({self.symbol})")
        if self.unit:
            parts.append(f"the unit {self.unit}")
        return " and ".join(parts) or "parentheses or a sign"

    def number(self, cell: str) -> float | None:
        """The number that a cell is in this form; None when it is written in another form."""
        if self.unit and not cell.endswith(self.unit):
            return None
        parts = _CELL.fullmatch(cell.removesuffix(self.unit))
        if parts is None or bool(parts["open"]) != bool(parts["close"]) or _symbol(parts) != self.symbol:
            return None
        digits = parts["digits"].translate(_SPACES)
        if not _pattern(self.decimal, self.thousands).fullmatch(digits):
            return None
        ungrouped = digits.replace(self.thousands, "") if self.thousands else digits
        value = float(ungrouped.replace(self.decimal, "."))
        signs = parts["sign"] + parts["sign2"] + (parts["sign3"] or "")
        if len(signs) > 1:
            return None
        return -value if parts["open"] or signs in ("-", "−", "–") else value


PLAIN = NumberForm()


def form_of(encoding: Mapping[str, Any]) -> NumberForm:
    """The form that an encoding names; plain numbers when it names none, as in older checkpoints."""
    return NumberForm(**encoding["form"]) if "form" in encoding else PLAIN


def possible_forms(cells: Iterable[str]) -> list[NumberForm]:
    """The forms that all of these cells follow, missing ones aside; empty when they are no numbers of one form."""
    present = [cell for cell in cells if cell not in MISSING]
    matches = [_CELL.fullmatch(cell) for cell in present]
    if not present or not all(matches):
        return []
    symbols = {_symbol(match) for match in matches if match}
    if len(symbols) > 1:
        return []
    digits = [match["digits"].translate(_SPACES) for match in matches if match]
    symbol = symbols.pop()
    forms = [
        NumberForm(decimal, thousands, symbol)
        for decimal, thousands in _FORMS
        if all(map(_pattern(decimal, thousands).fullmatch, digits))
        and (not thousands or any(thousands in number for number in digits))
        and (decimal == "." or any(decimal in number for number in digits) or thousands == ".")
    ]
    return [form for form in forms if all(form.number(cell) is not None for cell in present)]


def forms_with_unit(cells: Sequence[str]) -> list[NumberForm]:
    """The forms that cells such as 7.5 kg follow, all with one unit; empty when they have none, or several."""
    matches = [_UNIT.search(cell) for cell in cells]
    units = {match[0] if match else "" for match in matches}
    unit = units.pop() if len(units) == 1 else ""
    bare = [cell.removesuffix(unit) for cell in cells]
    return [replace(form, unit=unit) for form in possible_forms(bare)] if unit else []


def is_number_like(cell: str) -> bool:
    """Whether a cell is a number in any form."""
    return is_number(cell) or bool(possible_forms([cell]))


def numbers(
    cells: Sequence[str], rows: Sequence[int], source: str, column: str, form: NumberForm = PLAIN
) -> NDArray[np.float64]:
    """Return the cells as float64 [N], missing and infinite ones as NaN.

    Raises DataError naming the row and column of the first cell that is not a number of this form.
    """
    cells = cells if isinstance(cells, Column) else Column(list(cells))
    if (form == PLAIN or cells.was_numbers) and cells.floats is not None:
        return cells.floats
    texts, codes = cells.distinct
    values = [math.nan if text in MISSING else _number(text, form) for text in texts]
    if None in values:
        position = int(np.flatnonzero(codes == values.index(None))[0])
        cell = cells[position]
        raise DataError(
            f"{source}, row {rows[position]}, column '{column}': '{cell[:60]}' is not a number{_hint(cell, form)}"
        )
    return np.array(values, np.float64)[codes]


def _number(cell: str, form: NumberForm) -> float | None:
    """The number that a cell is; NaN for an infinite one."""
    if form == PLAIN and is_number(cell):
        return float(cell) if math.isfinite(float(cell)) else math.nan
    return form.number(cell)


def _hint(cell: str, form: NumberForm) -> str:
    if form != PLAIN:
        other = "point" if form.decimal == "," and is_number(cell) else ""
        return f" with {form.describe()}, as the column has.{_OF_NEW_FILES.format(other) if other else ''}"
    if not cell.replace(",", "", 1).lstrip("-").isdigit():
        return "."
    return f". Write it with a decimal point.{_OF_NEW_FILES.format('comma')}"


def _symbol(parts: re.Match[str]) -> str:
    return str(parts["before"] or parts["after"] or "")


@cache
def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    fraction = rf"(?:{re.escape(decimal)}\d*)?"
    if not thousands:
        return re.compile(rf"(?:\d+{fraction}|{re.escape(decimal)}\d+)(?:[eE][-+]?\d+)?")
    sign = re.escape(thousands)
    # Groups of three; of two and a last one of three in India.
    grouped = rf"[1-9]\d{{0,2}}(?:(?:{sign}\d{{3}})+|(?:{sign}\d\d)+{sign}\d{{3}})"
    return re.compile(rf"(?:{grouped}|\d{{1,3}}){fraction}|{re.escape(decimal)}\d+")
