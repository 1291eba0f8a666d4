"""Cells that do not fit the rest of their column: most likely mistakes, or words for a missing value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ptrun.data.formats.column import is_number
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.date_form import is_date_like, possible_orders
from ptrun.data.formats.number_form import PLAIN, is_number_like, possible_forms
from ptrun.errors import DataError

STRAY_SHARE = 0.1  # largest share of texts in a column that is still taken for one of numbers, with mistakes in it
# Up to this many different texts among MIN_CELLS different numbers are not data, however often they occur.
MAX_WORDS = 3
MIN_CELLS = 20  # in a column with fewer cells, nothing is guessed
GUESSED_FROM = 200  # distinct texts of a column that are looked at before the others
MAX_SHOWN = 60


def refuse_strays(file: CsvFile, name: str, missing: AbstractSet[str], advice: str, has_missing_values: bool) -> None:
    """Raise DataError for a text in a column that otherwise holds numbers or dates.

    missing: texts that stand for a missing cell. has_missing_values: whether a setting names more of them.
    """
    counts = {text: count for text, count in file[name].counts.items() if text not in missing}
    total = sum(counts.values())
    start = list(counts)[:GUESSED_FROM]
    if total < MIN_CELLS or sum(is_number_like(text) or is_date_like(text) for text in start) < 0.5 * len(start):
        return
    plain = {text for text in counts if is_number(text)}
    number_like = {text for text in counts if text in plain or is_number_like(text)}
    dates = {text for text in counts if is_date_like(text)}
    for fitting, noun, forms in ((plain, "number", _forms), (number_like, "number", _forms), (dates, "date", _orders)):
        fitting_count = sum(counts[text] for text in fitting)
        strays = counts.keys() - fitting
        are_words = len(strays) <= MAX_WORDS and len(fitting) >= MIN_CELLS
        if total - fitting_count > STRAY_SHARE * total and not are_words:
            continue
        position = next(i for i, cell in enumerate(file[name]) if cell in (strays or _minority(fitting, counts, forms)))
        cell = file[name][position]
        may_be_missing = has_missing_values and cell in strays - number_like - dates and len(cell) <= MAX_SHOWN
        set_missing = f"set dataset.missing_values=[{cell}] if it stands for a missing value, or "
        raise DataError(
            f"{file.source}, row {file.rows[position]}, column '{name}': '{cell[:MAX_SHOWN]}' is not a {noun}"
            f"{'' if strays else ' of the same form as the others'}, but {fitting_count} of {total} cells of that "
            f"column are. Correct it, or {set_missing if may_be_missing else ''}{advice}."
        )


def _forms(text: str) -> Sequence[Any]:
    return possible_forms([text]) or [PLAIN]


def _orders(text: str) -> Sequence[Any]:
    return possible_orders([text])


def _minority(
    texts: AbstractSet[str], counts: Mapping[str, int], forms: Callable[[str], Sequence[Any]]
) -> AbstractSet[str]:
    """The texts among numbers or dates that do not follow the form of most of them."""
    by_form: Counter[Any] = Counter()
    fitting: dict[Any, set[str]] = {}
    for text in texts:
        for form in forms(text):
            by_form[form] += counts[text]
            fitting.setdefault(form, set()).add(text)
    return texts - fitting[by_form.most_common(1)[0][0]]
