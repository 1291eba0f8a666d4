"""Decides what each column of a table is, in one pass over the file and before anything is learned from it.

Readers of all data sets share this: which columns are numbers (and how they are written), dates, categories, or no data
but a running number of the rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features.decimal_sign import decimal_sign
from ptrun.data.features.strays import GUESSED_FROM, MIN_CELLS, refuse_strays
from ptrun.data.formats.column import MISSING, Column, is_number
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.date_form import NOT_A_TIME, ORDERS, describe, instants, possible_orders
from ptrun.data.formats.number_form import PLAIN, NumberForm, forms_with_unit, numbers, possible_forms
from ptrun.errors import DataError

EXACT_INTEGERS = 2.0**53  # a float holds every integer up to here

COUNTS_ROWS = "they count the rows"  # reasons that callers tell apart
TOO_LONG = "whole numbers too long to calculate with"

_NAMELESS = re.compile(r"Unnamed: |__index_level_\d+__$")  # how pandas calls columns without a name
_ID_NAME = re.compile(r"(?i:(?:^|[\W_])(?:id|uuid|guid))$|[a-z]I[Dd]$")

Kind = Literal["number", "date", "category", "index"]


@dataclass(frozen=True)
class ColumnSettings:
    """The settings that say what the columns of a file are. advice: what to do about a cell that fits no kind.

    has_missing_values: whether the data set has the setting `missing_values`, for that advice.
    """

    numeric: Sequence[str] = ()
    categorical: Sequence[str] = ()
    max_categories: int = 100
    ignore: Sequence[str] = ()
    dates: Sequence[str] = ()
    missing_values: Sequence[str] = ()
    decimal: str = "auto"
    date_order: str = "auto"
    target: str = ""
    has_missing_values: bool = True
    advice: str = "say what the column is: dataset.categorical=[{name}] or dataset.ignore=[{name}]"


@dataclass(frozen=True)
class ColumnKind:
    """What a column is taken for. form: how its numbers are written. order: of day and month in its dates.

    reason: for the kind or the form, in words; "" where the cells are plain numbers, dates or texts.
    forms: all forms that the numbers can be read in, before one is chosen.
    """

    name: str
    kind: Kind
    form: NumberForm = PLAIN
    order: str = ""
    reason: str = ""
    forms: tuple[NumberForm, ...] = ()


def decide_kinds(file: CsvFile, names: Sequence[str], settings: ColumnSettings) -> list[ColumnKind]:
    """What each column is. Raises DataError naming row and column of a cell that fits no kind of its column."""
    kinds = [_kind(file, name, settings) for name in names]
    decimal = decimal_sign(settings.decimal) or _decimal_sign(kinds, file.delimiter)
    return [_decided(kind, file, decimal) for kind in kinds]


def counts_rows(values: NDArray[np.float64]) -> bool:
    """Whether values are 0 to N - 1 or 1 to N, each once, in any order."""
    low, high = values.min(), values.max()
    if not (low in (0, 1) and high - low == len(values) - 1):
        return False
    return bool(np.array_equal(np.sort(values), np.arange(low, high + 1)))


def is_id_name(name: str) -> bool:
    """Whether a column is called id, as in order_id, OrderID or id."""
    return bool(_ID_NAME.search(name))


def _kind(file: CsvFile, name: str, settings: ColumnSettings) -> ColumnKind:
    cells = file[name]
    if name in settings.categorical:
        return ColumnKind(name, "category", reason="dataset.categorical names it")
    if name in settings.dates:
        return _date(file, name, settings)
    if name in settings.numeric:
        return _number(file, name, settings, "dataset.numeric names it")
    if name in file.nameless or _NAMELESS.match(name):
        return ColumnKind(name, "index", reason="they have no name in the header line")
    if cells.floats is not None:
        return _plain_number(name, cells)
    return _text(file, name, settings)


def _plain_number(name: str, cells: Column) -> ColumnKind:
    values = cells.floats
    assert values is not None
    if len(values) > 2 and counts_rows(values):
        return ColumnKind(name, "index", reason=COUNTS_ROWS)
    present = values[~np.isnan(values)]
    if is_id_name(name) and len(values) >= MIN_CELLS and len(np.unique(values)) == len(values) and _are_integers(cells):
        return ColumnKind(name, "index", reason="they are ids: each row has a number of its own")
    if len(present) and np.abs(present).max() > EXACT_INTEGERS and _are_integers(cells):
        return ColumnKind(name, "category", reason=TOO_LONG)
    return ColumnKind(name, "number")


def _are_integers(cells: Column) -> bool:
    return all(text.lstrip("+-").isdigit() for text in cells.distinct[0] if text not in MISSING)


def _text(file: CsvFile, name: str, settings: ColumnSettings) -> ColumnKind:
    """What a column is whose cells are not all plain numbers."""
    missing = {*MISSING, *settings.missing_values}
    texts = [text for text in file[name].distinct[0] if text not in missing]
    if orders := _orders(texts, settings):
        return ColumnKind(name, "date", order=one_order(file, name, orders, settings.missing_values))
    if forms := _quick(texts, possible_forms):
        return ColumnKind(name, "number", form=forms[0], forms=tuple(forms))
    if len(texts) > MIN_CELLS and (forms := _quick(texts, forms_with_unit)):  # fewer may be classes: 3 doors, 5 doors
        return ColumnKind(name, "number", form=forms[0], forms=tuple(forms))
    advice = (
        "set dataset.task=classification if these are classes"
        if name == settings.target
        else settings.advice.format(name=name)
    )
    refuse_strays(file, name, missing, advice, settings.has_missing_values)
    return ColumnKind(name, "category")


def _quick(texts: Sequence[str], possible: Any) -> Any:
    """What all texts can be; most columns are ruled out by the first of them."""
    return possible(texts) if possible(texts[:GUESSED_FROM][:20]) else []


def _orders(texts: Sequence[str], settings: ColumnSettings) -> list[str]:
    return as_set(_quick(texts, possible_orders), settings)


def as_set(orders: list[str], settings: ColumnSettings) -> list[str]:
    """The order of dataset.date_order if it is among those that are possible, else all of these."""
    return [settings.date_order] if settings.date_order in orders else orders


def _number(file: CsvFile, name: str, settings: ColumnSettings, reason: str) -> ColumnKind:
    texts = [text for text in file[name].distinct[0] if text not in settings.missing_values]
    forms = possible_forms(texts) if file[name].floats is None else []
    return ColumnKind(name, "number", form=forms[0] if forms else PLAIN, reason=reason, forms=tuple(forms))


def _date(file: CsvFile, name: str, settings: ColumnSettings) -> ColumnKind:
    reason = "dataset.dates names it"
    missing = {*NOT_A_TIME, *settings.missing_values}
    texts = [text for text in file[name].distinct[0] if text not in missing]
    if not texts:
        return ColumnKind(name, "date", order=ORDERS[0], reason=reason)
    orders = as_set(possible_orders(texts, digits_too=True), settings)
    if not orders:
        misfit = _first_misfit(texts)
        row = file.rows[file[name].texts().index(misfit)]
        raise DataError(
            f"{file.source}, row {row}, column '{name}': '{misfit[:60]}' is not a "
            "date of the same form as the others. Dates like 2024-01-31, 31/1/2024 and 31 Jan 2024 are read."
        )
    return ColumnKind(name, "date", order=one_order(file, name, orders, settings.missing_values), reason=reason)


def _first_misfit(texts: Sequence[str]) -> str:
    """The first text that is no date, or no date of a form that all those before it have."""
    orders = set(ORDERS)
    for text in texts:
        orders &= set(possible_orders([text], digits_too=True))
        if not orders:
            return text
    raise ValueError("all texts are dates of one form")


def one_order(file: CsvFile, name: str, orders: Sequence[str], missing_values: Sequence[str] = ()) -> str:
    """The order of day and month: the only one, or the one in which the rows are sorted.

    Raises DataError when nothing tells it.
    """
    if len(orders) == 1:
        return orders[0]
    cells = file[name].without(missing_values)
    in_order = [order for order in orders if _is_sorted(instants(cells, file.rows, file.source, name, order).utc)]
    if len(in_order) == 1:
        return in_order[0]
    cell = next(text for text in cells.distinct[0] if text not in NOT_A_TIME)
    raise DataError(
        f"{file.source}, column '{name}': the dates, such as '{cell}', can be {describe('dmy')} or {describe('mdy')}, "
        f"as no number in them is above 12. Say which: dataset.date_order=dmy or dataset.date_order=mdy."
    )


def _is_sorted(times: NDArray[np.float64]) -> bool:
    steps = np.diff(times[~np.isnan(times)])
    return bool((steps >= 0).all() or (steps <= 0).all())


def _decimal_sign(kinds: Sequence[ColumnKind], delimiter: str) -> str:
    """The decimal sign: what a column shows beyond doubt, else what the delimiter says."""
    sure = Counter(
        kind.form.decimal
        for kind in kinds
        if len({form.decimal for form in kind.forms}) == 1 and (kind.form.thousands or kind.form.decimal == ",")
    )
    if sure:
        return sure.most_common(1)[0][0]
    return "," if delimiter == ";" and any(kind.forms for kind in kinds) else "."


def _decided(kind: ColumnKind, file: CsvFile, decimal: str) -> ColumnKind:
    """The kind with its form of numbers chosen among those that are possible."""
    forms: Sequence[NumberForm] = kind.forms
    if kind.kind != "number":
        return kind
    if not forms and decimal == ",":  # 1.234 is a thousand and more where the other columns have decimal commas
        floats = file[kind.name].floats
        texts = file[kind.name].distinct[0] if floats is not None else []
        has_points = any("." in text for text in texts[:GUESSED_FROM])
        grouped = [form for form in possible_forms(texts) if form.thousands == "."] if has_points else []
        return replace(kind, form=grouped[0], reason=_written(grouped[0])) if grouped else kind
    if not forms:
        return kind
    form = next((form for form in forms if form.decimal == decimal), forms[0])
    return replace(kind, form=form, reason=kind.reason or _written(form))


def _written(form: NumberForm) -> str:
    return f"written with {form.describe()}"


def read_numbers(file: CsvFile, name: str, form: NumberForm, missing_values: Sequence[Any] = ()) -> NDArray[np.float64]:
    """The cells of a column as float64 [N]; NaN for missing ones, also those that `missing_values` stand for.

    Raises DataError naming the row and column of the first cell that is not a number of this form.
    """
    cells = file[name]
    if not missing_values:
        return numbers(cells, file.rows, file.source, name, form)
    if form != PLAIN or cells.floats is None:  # else a text for a missing value is a number, or missing anyway
        cells = cells.without(missing_values)
    values = numbers(cells, file.rows, file.source, name, form).copy()
    meant = [float(value) for value in missing_values if is_number(str(value))]
    values[np.isin(values, meant)] = np.nan
    return values
