"""Reads a CSV file, and its cells as numbers, with errors that name row and column.

Row numbers are line numbers, as an editor or spreadsheet shows them: the header is row 1.
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
# Rows are turned into columns so many at a time: they stay in the CPU's cache, and too few objects are alive for the
# garbage collector to run (measured: a quarter of the time of turning all rows at once).
CHUNK_ROWS = 256


@dataclass(frozen=True)
class CsvFile:
    """Cells of a file, column by column, without surrounding spaces; rows[i] is the row number of cell i."""

    source: str
    columns: dict[str, list[str]]
    rows: list[int]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str, setting: str) -> list[str]:
        """Return the cells of a column. Raises DataError that suggests the nearest name when there is none."""
        if name not in self.columns:
            raise DataError(
                f"{setting}: {self.source} has no column '{name}'.{did_you_mean(name, self.columns)} "
                f"It has: {join_words(self.columns)}."
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
    first_lines = list(itertools.islice(lines, 20))
    separator = find_separator([line for line in first_lines if line.strip()][:2])
    reader = csv.reader(itertools.chain(first_lines, lines), delimiter=separator, skipinitialspace=True)
    if header and names is None:
        names = header_names(next((row for row in reader if not _is_blank(row)), []), source)
    columns, rows = _columns(reader, None if names is None else len(names), source)
    if not rows:
        raise DataError(f"{source} is empty: it has no data rows.")
    names = names or [f"column {i + 1}" for i in range(len(columns))]
    return CsvFile(source, dict(zip(names, columns, strict=True)), rows)


def _columns(reader: Any, width: int | None, source: str) -> tuple[list[list[str]], list[int]]:
    """All cells, column by column, and the row number of each; `width` None takes that of the first row."""
    columns: list[list[str]] = []
    rows: list[int] = []
    chunk: list[list[str]] = []

    def add_chunk() -> None:
        if not columns:
            columns.extend([] for _ in range(width or 0))
        for column, cells in zip(columns, zip(*chunk, strict=True), strict=True):
            column.extend(map(str.strip, cells))
        chunk.clear()

    for row in reader:
        if len(row) != width or width == 1:
            if _is_blank(row):
                continue
            width = width or len(row)
            if len(row) != width:
                raise DataError(
                    f"{source}, row {reader.line_num}: it has {len(row)} cells, but the file has {width} columns. "
                    "Repair or remove the row."
                )
        chunk.append(row)
        rows.append(reader.line_num)
        if len(chunk) == CHUNK_ROWS:
            add_chunk()
    if chunk:
        add_chunk()
    return columns, rows


def _is_blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip())


def header_names(row: Sequence[str], source: str) -> list[str]:
    """The names of the columns; one without a name gets its position. Raises DataError for a repeated name."""
    if not row:
        raise DataError(f"{source} is empty.")
    names = [name.strip() or f"column {i + 1}" for i, name in enumerate(row)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{source}: the header has {join_words(map(repr, repeated))} more than once. Give each column its own name."
        )
    return names


def find_separator(lines: Sequence[str]) -> str:
    """The separator that cuts all of these lines into the same number of cells, and into most of them."""

    def widths(separator: str) -> list[int]:
        return [len(row) for row in csv.reader(lines, delimiter=separator) if row]

    return max(",;\t", key=lambda s: (len(set(widths(s))) == 1, min(widths(s), default=0)))


def numbers(cells: Sequence[str], rows: Sequence[int], source: str, column: str) -> NDArray[np.float64]:
    """Return the cells as float64 [N], missing and infinite ones as NaN.

    Raises DataError naming the row and column of the first cell that is not a number.
    """
    values = numbers_or_none(cells)
    if values is not None:
        return values
    for cell, row in zip(cells, rows, strict=True):
        if cell not in MISSING and not is_number(cell):
            hint = " Write it with a decimal point." if cell.replace(",", "", 1).lstrip("-").isdigit() else ""
            raise DataError(f"{source}, row {row}, column '{column}': '{cell[:60]}' is not a number.{hint}")
    raise AssertionError("a cell is not a number")


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
        # Most columns miss no cell: to try this first takes a third of the time of looking at each cell.
        return list(map(float, cells))
    except ValueError:
        return [math.nan if cell in MISSING else float(cell) for cell in cells]


def is_number(cell: str) -> bool:
    """Whether a cell is a number, finite or not."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
