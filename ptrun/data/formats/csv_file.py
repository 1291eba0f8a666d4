"""Reads a CSV file, and its cells as numbers, with errors that name row and column.

Invariant: row numbers are those of a spreadsheet or editor: lines of the file, the header being row 1;
every row that is returned has as many cells as the header.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.errors import DataError, did_you_mean, join_words

MISSING = frozenset({"", "?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None"})
TURNED_AT_ONCE = 256  # rows: so few stay in the cache, and wake no garbage collection (measured: a quarter of the time)


@dataclass(frozen=True)
class CsvFile:
    """Cells of a file, column by column, without surrounding spaces; rows[i] is the row number of cell i."""

    source: str
    columns: dict[str, list[str]]
    rows: list[int]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str, setting: str) -> list[str]:
        """Return the cells of a column. Raises DataError with the nearest column name."""
        if name not in self.columns:
            raise DataError(
                f"{setting}: {self.source} has no column '{name}'.{did_you_mean(name, self.columns)} It has: {join_words(self.columns)}."
            )
        return self.columns[name]

    def take(self, positions: Sequence[int]) -> CsvFile:
        """The same columns with the rows at `positions` only."""
        columns = {name: [cells[i] for i in positions] for name, cells in self.columns.items()}
        return CsvFile(self.source, columns, [self.rows[i] for i in positions])


def read_csv(path: Path, names: Sequence[str] | None = None, *, header: bool = True) -> CsvFile:
    """Read a CSV file whose separator is a comma, semicolon or tab (found from its first lines).

    `names` are the columns of a file without a header line. Blank lines are skipped.
    Raises DataError for an empty or unreadable file, a header that repeats a name, and a row of another length.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse(file, str(path), names, header)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8 CSV."
        ) from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} can't be read as CSV: {error}.") from error


def _parse(lines: Iterable[str], source: str, names: Sequence[str] | None, header: bool) -> CsvFile:
    lines = iter(lines)
    head = list(itertools.islice(lines, 20))
    separator = _separator([line for line in head if line.strip()][:2])
    reader = csv.reader(itertools.chain(head, lines), delimiter=separator, skipinitialspace=True)
    if header and names is None:
        names = _names(next((row for row in reader if not _is_blank(row)), []), source)
    columns, rows = _columns(reader, None if names is None else len(names), source)
    if not rows:
        raise DataError(f"{source} is empty: it has no data rows.")
    names = names or [f"column {i + 1}" for i in range(len(columns))]
    return CsvFile(source, dict(zip(names, columns, strict=True)), rows)


def _columns(reader: Any, width: int | None, source: str) -> tuple[list[list[str]], list[int]]:
    """All cells, column by column, and the numbers of their rows."""
    columns: list[list[str]] = []
    rows: list[int] = []
    waiting: list[list[str]] = []

    def turn() -> None:
        if not columns:
            columns.extend([] for _ in range(width or 0))
        for column, cells in zip(columns, zip(*waiting, strict=True), strict=True):
            column.extend(map(str.strip, cells))
        waiting.clear()

    for row in reader:
        if len(row) != width or width == 1:
            if _is_blank(row):
                continue
            width = width or len(row)
            if len(row) != width:
                raise DataError(
                    f"{source}, row {reader.line_num}: it has {len(row)} cells, but the file has {width} columns. Repair or remove the row."
                )
        waiting.append(row)
        rows.append(reader.line_num)
        if len(waiting) == TURNED_AT_ONCE:
            turn()
    if waiting:
        turn()
    return columns, rows


def _is_blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip())


def _names(row: Sequence[str], source: str) -> list[str]:
    if not row:
        raise DataError(f"{source} is empty.")
    names = [name.strip() or f"column {i + 1}" for i, name in enumerate(row)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{source}: the header has {join_words(map(repr, twice))} more than once. Give each column its own name."
        )
    return names


def _separator(lines: Sequence[str]) -> str:
    def widths(separator: str) -> list[int]:
        return [len(row) for row in csv.reader(lines, delimiter=separator) if row]

    # The separator that cuts all of the first lines into the same number of cells, and into most of them.
    return max(",;\t", key=lambda s: (len(set(widths(s))) == 1, min(widths(s), default=0)))


def numbers(cells: Sequence[str], rows: Sequence[int], source: str, column: str) -> NDArray[np.float64]:
    """Return the cells as float64 [N], missing and infinite ones as NaN.

    Raises DataError naming the row and column of the first cell that is not a number.
    """
    found = numbers_or_none(cells)
    if found is not None:
        return found
    for cell, row in zip(cells, rows, strict=True):
        if cell not in MISSING and not is_number(cell):
            hint = " Write it with a decimal point." if cell.replace(",", "", 1).lstrip("-").isdigit() else ""
            raise DataError(f"{source}, row {row}, column '{column}': '{cell[:60]}' is not a number.{hint}")
    raise AssertionError("one cell is not a number")


def numbers_or_none(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """Return the cells as float64 [N] with NaN for missing and infinite ones; None when one is text."""
    try:
        values = np.array(_floats(cells), np.float64)
    except ValueError:
        return None
    if "_" in "".join(cells):  # Python reads 1_2 as 12; in a data file it is a name.
        return None
    values[~np.isfinite(values)] = np.nan
    return values


def _floats(cells: Sequence[str]) -> list[float]:
    try:
        return list(
            map(float, cells)
        )  # three times as fast as looking for missing cells, which most columns have none of
    except ValueError:
        return [math.nan if cell in MISSING else float(cell) for cell in cells]


def is_number(cell: str) -> bool:
    """Whether a cell is a number, finite or not."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
