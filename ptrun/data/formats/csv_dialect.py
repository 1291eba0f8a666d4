"""How a CSV file is written: its delimiter, whether its first line names the columns, and what each row ends in.

Found by parsing the first lines with each delimiter, since a count of characters is wrong about quoted texts.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ptrun.data.formats.column import MISSING
from ptrun.data.formats.date_form import is_date_like
from ptrun.data.formats.number_form import is_number_like
from ptrun.errors import ConfigError, DataError, join_words

DELIMITERS = (",", ";", "\t", "|")
DELIMITER_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|", "space": " "}
SAMPLE_LINES = 50
# From this many first cells in even steps on, such as 1, 2, 3, they name the columns; fewer may be data.
MIN_HEADER_RUN = 3
YEARS = range(1800, 2101)

Header = bool | str  # True, False, or "auto"


@dataclass(frozen=True)
class Dialect:
    """How to read a file.

    names: of the columns. nameless: those of them that the header line leaves empty.
    has_header: whether the first line is a header.
    ends_empty: whether each row has one cell more than the header, which is empty.
    was_found: whether the file itself said that it has no header line. names_given: whether the user named the columns.
    """

    delimiter: str
    names: tuple[str, ...]
    nameless: frozenset[str] = frozenset()
    has_header: bool = True
    ends_empty: bool = False
    was_found: bool = False
    names_given: bool = False

    def reader(self, lines: Iterable[str]) -> Any:
        """A reader of Python's csv module for a text that is written so."""
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True)

    def data_rows(self, reader: Any) -> Iterator[tuple[int, list[str]]]:
        """Row number and cells of each row after the header that is not blank, without an empty cell too many.

        Rows of another length are among them; `misfit` says what is wrong with them.
        """
        width = len(self.names)
        if self.has_header:
            next((row for row in reader if not is_blank(row)), None)
        for row in reader:
            if len(row) != width or width == 1:
                if is_blank(row):
                    continue
                if len(row) == width + 1 and not row[-1].strip():
                    row.pop()  # a delimiter at the end of the line
            yield reader.line_num, row

    def misfit(self, cells: Sequence[str]) -> str:
        """What is wrong with a row of another length, as a part of a sentence."""
        if self.names_given:
            return f"it has {len(cells)} cells, but {len(self.names)} columns are expected (see dataset.columns)"
        return f"it has {len(cells)} cells, but the file has {len(self.names)} columns"


def header_setting(header: Header, fitted: Mapping[str, Any] | None) -> Header:
    """dataset.header; "auto" is decided by the training of a trained model, which needs the names of its columns.

    fitted: what the data set learned in training; it has the key "header" where the file had no header line.
    """
    trained: Header = fitted.get("header", True) if fitted else "auto"
    return trained if header == "auto" else header


def find_dialect(
    lines: Sequence[str], source: str, names: Sequence[str] | None, header: Header, delimiter: str, may_lack: str = ""
) -> Dialect:
    """The dialect of a file that begins with `lines`.

    names: the columns of a file without a header line. may_lack: one of them, which is left out where all rows are
    shorter by one.
    Raises DataError for an empty file and a header that repeats a name, ConfigError for an impossible delimiter.
    """
    sign = delimiter_sign(delimiter) if delimiter != "auto" else _find_delimiter(lines)
    rows = _parse(lines, sign)
    if not rows:
        raise DataError(f"{source} is empty.")
    if names is not None:
        if may_lack in names and all(len(row) == len(names) - 1 for row in rows):
            names = [name for name in names if name != may_lack]
        ends_empty = _ends_empty(len(names), rows)
        return Dialect(sign, tuple(names), has_header=False, ends_empty=ends_empty, names_given=True)
    missing = header == "auto" and _is_like_the_others(rows[0], rows[1:])
    if header is False or missing:
        return _without_header(sign, rows, missing)
    first = [cell.strip() for cell in rows[0]]
    nameless = [i for i, name in enumerate(first) if not name]
    columns = [name or f"column {i + 1}" for i, name in enumerate(first)]
    _refuse_repeated(columns, source)
    return Dialect(
        sign, tuple(columns), frozenset(columns[i] for i in nameless), ends_empty=_ends_empty(len(columns), rows[1:])
    )


def delimiter_sign(delimiter: str) -> str:
    """The character that dataset.delimiter means. Raises ConfigError for anything but one character or its name."""
    sign = DELIMITER_NAMES.get(delimiter, delimiter)
    if len(sign) != 1 or sign in '"\r\n':
        raise ConfigError(
            f"dataset.delimiter is '{delimiter}'; it can be auto, one character, or a name: "
            "comma, semicolon, tab, bar, space."
        )
    return sign


def is_blank(row: Sequence[str]) -> bool:
    """Whether a row is an empty line."""
    return not row or (len(row) == 1 and not row[0].strip())


def _without_header(sign: str, rows: Sequence[Sequence[str]], was_found: bool) -> Dialect:
    width = len(rows[0])
    if width > 2 and all(len(row) == width and not row[-1].strip() for row in rows):
        width -= 1
    names = tuple(f"column {i + 1}" for i in range(width))
    return Dialect(sign, names, has_header=False, ends_empty=width < len(rows[0]), was_found=was_found)


def _refuse_repeated(names: Sequence[str], source: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{source}: the header has {join_words(map(repr, repeated))} more than once. Give each column its own name."
        )


def _ends_empty(width: int, rows: Sequence[Sequence[str]]) -> bool:
    return bool(rows) and all(len(row) == width + 1 and not row[-1].strip() for row in rows)


def _parse(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    rows = [row for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if not is_blank(row)]
    # The last row may go on after the lines that were read.
    return rows[:-1] if len(lines) == SAMPLE_LINES and len(rows) > 2 else rows


def _find_delimiter(lines: Sequence[str]) -> str:
    """The delimiter that cuts the rows into the same number of cells, of which most are numbers or dates."""
    return max(DELIMITERS, key=lambda delimiter: _fit(_parse(lines, delimiter)))


def _fit(rows: Sequence[Sequence[str]]) -> tuple[float, float, int]:
    """How well rows fit together: share of equal widths, share of numbers and dates, width."""
    width = len(rows[0]) if rows else 0
    if width < 2:
        return 0.0, 0.0, width
    equal = sum(len(row) == width or _ends_empty(width, [row]) for row in rows) / len(rows)
    cells = [cell for row in rows[1:4] for cell in row[:50]]
    typed = sum(_kind(cell) in ("number", "date") for cell in cells) / max(1, len(cells))
    return equal, typed, width


def _kind(cell: str) -> str:
    cell = cell.strip()
    if cell in MISSING:
        return "missing"
    if is_number_like(cell):
        return "number"
    return "date" if is_date_like(cell) else "text"


def _is_like_the_others(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether a first row is data: its cells are numbers where those of the column are, and texts that return."""
    others = [row for row in others if len(row) == len(first)]
    if len(others) < 2:
        return False
    columns = [_ColumnStart(cell.strip(), [row[i].strip() for row in others]) for i, cell in enumerate(first)]
    typed = [column for column in columns if column.kind in ("number", "date") and column.first]
    if not typed or any(column.is_named for column in columns):
        return False
    return not _is_run([column.first for column in typed])


@dataclass(frozen=True)
class _ColumnStart:
    """The first cell of a column, and those of the next rows."""

    first: str
    others: Sequence[str]

    @property
    def kind(self) -> str:
        """What all of the other cells are."""
        kinds = {_kind(cell) for cell in self.others} - {"missing"}
        return kinds.pop() if len(kinds) == 1 else "text" if kinds else "missing"

    @property
    def is_named(self) -> bool:
        """Whether the first cell can only be a name: a text over numbers, or one that is not among repeated texts."""
        if not self.first or self.kind == "missing":
            return False
        if self.kind in ("number", "date"):
            return _kind(self.first) not in (self.kind, "missing")
        repeats = 2 * len(set(self.others)) <= len(self.others)
        return _kind(self.first) == "text" and repeats and self.first not in self.others


def _is_run(cells: Sequence[str]) -> bool:
    """Whether cells are numbers in even steps that are not zero, as in a header of years or of time steps."""
    try:
        values = list(map(float, cells))
    except ValueError:
        return False
    steps = {round(b - a, 9) for a, b in itertools.pairwise(values)}
    are_years = all(value in YEARS for value in values)
    return (len(values) >= MIN_HEADER_RUN or are_years) and len(steps) == 1 and 0 not in steps
