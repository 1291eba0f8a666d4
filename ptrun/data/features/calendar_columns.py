"""A time that stands in several columns of whole numbers: year, month, day, hour, minute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_file import CsvFile
from ptrun.rng import Floats

# Names of the columns, in English, German, French and Spanish, and the least and greatest number in them.
_YEAR = ({"year", "yr", "jahr", "annee", "année", "año"}, 1000, 9999)
_MONTH = ({"month", "mnth", "monat", "mois", "mes"}, 1, 12)
_DAY = ({"day", "tag", "jour", "dia", "día"}, 1, 31)
_HOUR = ({"hour", "hr", "stunde", "heure", "hora"}, 0, 24)
_MINUTE = ({"minute"}, 0, 59)
_PARTS = (_YEAR, _MONTH, _DAY, _HOUR, _MINUTE)


def calendar_columns(file: CsvFile, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the columns that hold year and month, and then maybe day, hour and minute; () when they hold no such."""
    columns: list[str] = []
    for part in _PARTS:
        column = next((name for name in names if _is_part(file, name, part)), None)
        if column is None:
            break
        columns.append(column)
    return tuple(columns) if len(columns) > 1 else ()


def is_hour(file: CsvFile, name: str) -> bool:
    """Whether a column is called hour, or so, and holds hours as whole numbers."""
    return _is_part(file, name, _HOUR)


def as_dates(file: CsvFile, columns: Sequence[str]) -> Column:
    """The cells of columns with year, month and so on, as texts such as 2010-01-31 or 2010-01-31 15:00."""
    year, month, *rest = (_whole(file, name) for name in columns)
    day = rest[0] if rest else ["1"] * len(year)
    clock = _as_clock(*rest[1:]) if rest[1:] else [""] * len(year)
    parts = zip(year, month, day, clock, strict=True)
    return Column([f"{y}-{m.zfill(2)}-{d.zfill(2)} {time}".rstrip() for y, m, d, time in parts])


def hours(file: CsvFile, name: str) -> Column:
    """The cells of a column of hours as texts such as 15:00."""
    return Column(_as_clock(_whole(file, name)))


def _as_clock(hour: Sequence[str], minute: Sequence[str] | None = None) -> list[str]:
    """Hours and minutes as texts such as 15:00."""
    minutes = minute or ["0"] * len(hour)
    return [f"{h.zfill(2)}:{m.zfill(2)}" for h, m in zip(hour, minutes, strict=True)]


def _is_part(file: CsvFile, name: str, part: tuple[set[str], int, int]) -> bool:
    words, low, high = part
    values = file[name].floats if name.lower() in words else None
    return values is not None and _are_whole(values) and low <= values.min() and values.max() <= high


def _are_whole(values: Floats) -> bool:
    return bool(np.isfinite(values).all() and (values == np.rint(values)).all())


def _whole(file: CsvFile, name: str) -> list[str]:
    values = file[name].floats
    assert values is not None
    return [str(int(value)) for value in values]
