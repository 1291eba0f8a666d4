"""Dates as people write them: 2024-01-31, 31.01.2024, 1/31/2024 3:15 PM, 31. März 2024, 2024-W05, 2024Q1, with offsets.

The order of day and month is that of the whole column, which decides it by a number above 12, or by points: these stand
between day, month and year. Months are read in English, German, French, Spanish, Italian and Dutch.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats.column import MISSING, Column
from ptrun.errors import DataError

ORDERS = ("ymd", "dmy", "mdy", "time")  # how a form is named in a checkpoint; "time" is a time of day alone
DAY_SECONDS = 86400
NOT_A_TIME = frozenset({*MISSING, "NaT"})
_EPOCH = datetime(1970, 1, 1)
_MONTH_NAMES = (
    "january januar janvier enero gennaio januari",
    "february februar fevrier febrero febbraio februari",
    "march marz mars marzo maart mrz mrt",
    "april avril abril aprile",
    "may mai mayo maggio mei",
    "june juni juin junio giugno",
    "july juli juillet julio luglio",
    "august aout agosto augustus",
    "september septembre septiembre settembre",
    "october oktober octobre octubre ottobre",
    "november novembre noviembre",
    "december dezember decembre diciembre dicembre",
)
_CLOCK = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>[.,]\d+)?)?|(?=\s*[AaPp]\.?[Mm]))"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"
)
_MONTH = r"(?P<month_name>[^\W\d_]{3,})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:[^\W\d_]+\.?,? )?"
_TIME = rf"(?:(?:\s*,\s*|\s+|T|:){_CLOCK})?"
_PATTERNS = {
    "ymd": (
        rf"(?P<year>\d{{4}})(?:(?P<s>[-/.])(?P<month>\d{{1,2}})(?:(?P=s)(?P<day>\d{{1,2}}){_TIME})?)",
        rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d){_TIME}",
        r"(?P<year>\d{4})(?P<month>\d\d)",
        rf"(?P<year>\d{{4}})[- ]{_MONTH}(?:[- ](?P<day>\d{{1,2}}))?{_TIME}",
        r"(?P<year>\d{4})-?W(?P<week>\d\d)(?:-?(?P<weekday>[1-7]))?",
        r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])",
        r"[Qq](?P<quarter>[1-4])[-/ ]?(?P<year>\d{4})",
    ),
    "dmy": (
        rf"(?P<day>\d{{1,2}})(?P<s>[-/.])(?P<month>\d{{1,2}})(?P=s)(?P<year>\d{{4}}|\d\d){_TIME}",
        rf"{_WEEKDAY}{_DAY}[-/. ]+(?:de )?{_MONTH},?[-/. ]+(?:de )?(?P<year>\d{{4}}|\d\d){_TIME}",
    ),
    "mdy": (
        rf"(?P<month>\d{{1,2}})(?P<s>[-/.])(?P<day>\d{{1,2}})(?P=s)(?P<year>\d{{4}}|\d\d){_TIME}",
        r"(?P<month>\d{1,2})[-/](?P<year>\d{4})",
        rf"{_WEEKDAY}{_MONTH}[- ](?:{_DAY},?[- ]+)?(?P<year>\d{{4}}){_TIME}",
        rf"{_MONTH}(?:-| ?')(?P<year>\d\d)",
        rf"{_WEEKDAY}{_MONTH} +{_DAY} {_CLOCK} (?P<year>\d{{4}})",
    ),
    "time": (_CLOCK,),
}
_COMPILED = {order: [re.compile(pattern) for pattern in patterns] for order, patterns in _PATTERNS.items()}
_ISO_LENGTHS = (10, 16, 19)
_POINTS = re.compile(r"\d{1,2}\.\d{1,2}\.\d")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Instants:
    """Times of the cells of a column, float64 [N] in seconds since 1970; NaN for a missing one.

    utc: with the offsets that the cells name. clock: as the cells show it, for calendars.
    """

    utc: NDArray[np.float64]
    clock: NDArray[np.float64]


def possible_orders(cells: Iterable[str], *, digits_too: bool = False) -> list[str]:
    """The orders in which all of these cells are dates, missing ones aside; two when day and month can't be told apart.

    digits_too: whether 20240131 and 202401 are dates; without, they are numbers.
    """
    present = [cell for cell in cells if cell not in NOT_A_TIME]
    if not present or (present[0].isdigit() and not digits_too):
        return []
    orders = [order for order in ORDERS if all(_seconds(cell, order) is not None for cell in present)]
    return ["dmy"] if orders == ["dmy", "mdy"] and all(map(_POINTS.match, present)) else orders


def is_date_like(cell: str) -> bool:
    """Whether a cell is a date in any order."""
    return bool(possible_orders([cell]))


def instants(cells: Column, rows: Sequence[int], source: str, column: str, order: str) -> Instants:
    """The times of a column. Raises DataError naming the row and column of the first cell that is no date."""
    if order in ("dmy", "mdy") and all(_ISO_DATE.match(text) for text in cells.distinct[0] if text not in NOT_A_TIME):
        # Data frames write dates in this form, whatever the training file had. A column of two forms may be a mistake.
        order = "ymd"
    if order == "ymd" and (quick := _iso(cells)) is not None:
        return Instants(quick, quick)
    texts, codes = cells.distinct
    pairs = [(np.nan, np.nan) if text in NOT_A_TIME else _seconds(text, order) for text in texts]
    if None in pairs:
        position = int(np.flatnonzero(codes == pairs.index(None))[0])
        raise DataError(
            f"{source}, row {rows[position]}, column '{column}': '{cells[position][:60]}' is not a {describe(order)}."
        )
    clock, offset = np.array(pairs, np.float64).reshape(-1, 2)[codes].T
    return Instants(clock - offset, clock)


def describe(order: str) -> str:
    """The form in words, for a message."""
    forms = {"ymd": "date like 2024-01-31", "dmy": "date like 31/1/2024", "mdy": "date like 1/31/2024"}
    return forms.get(order, "time of day like 14:30")


def _iso(cells: Column) -> NDArray[np.float64] | None:
    """The quick way for columns of dates that all have the same ISO form without an offset; None for others."""
    texts = cells.texts()
    length = len(texts[0]) if texts else 0
    if length not in _ISO_LENGTHS or texts[0][4] != "-" or any(len(text) != length for text in texts):
        return None
    try:
        return np.array(texts, dtype="datetime64[s]").astype(np.float64)
    except ValueError:
        return None


def _seconds(cell: str, order: str) -> tuple[float, float] | None:
    """Seconds since 1970 as the clock shows them, and the offset from UTC in seconds; None when it is no such date."""
    match = next((found for pattern in _COMPILED[order] if (found := pattern.fullmatch(cell))), None)
    if match is None:
        return None
    parts = match.groupdict()
    try:
        day = _EPOCH if order == "time" else _day(parts)
        clock = _clock(parts)
    except ValueError:
        return None
    return (day - _EPOCH).total_seconds() + clock, _offset(parts.get("zone"))


def _day(parts: dict[str, str | None]) -> datetime:
    """The day, the first of its week, month or quarter. Raises ValueError for one that does not exist."""
    year = _year(parts["year"] or "")
    if week := parts.get("week"):
        return datetime.fromisocalendar(year, int(week), int(parts["weekday"] or 1))
    if quarter := parts.get("quarter"):
        return datetime(year, 3 * int(quarter) - 2, 1)
    return datetime(year, _month(parts), int(parts.get("day") or 1))


def _year(digits: str) -> int:
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (2000 if int(digits) < 69 else 1900)  # as POSIX does


def _month(parts: dict[str, str | None]) -> int:
    if name := parts.get("month_name"):
        return _named_month(name)
    return int(parts["month"] or 0)


@cache
def _named_month(name: str) -> int:
    """The month whose name begins so, in one of the languages; 0 when there is none, or more than one."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(sign))
    months = [i for i, names in enumerate(_MONTH_NAMES, 1) if any(word.startswith(plain) for word in names.split())]
    return months[0] if len(months) == 1 else 0


def _clock(parts: dict[str, str | None]) -> float:
    """Seconds of the day. Raises ValueError for an hour, minute or second that does not exist; 24:00 is allowed."""
    hour, minute, second = (int(parts.get(key) or 0) for key in ("hour", "minute", "second"))
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if half in "Pp" else 0)
    if minute > 59 or second > 60 or hour * 60 + minute > 24 * 60:
        raise ValueError
    fraction = float((parts.get("fraction") or "0").replace(",", "."))
    return timedelta(hours=hour, minutes=minute, seconds=second).total_seconds() + fraction


def _offset(zone: str | None) -> float:
    if not zone or zone in ("Z", "UTC", "GMT"):
        return 0.0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return float(-seconds if zone[0] == "-" else seconds)
