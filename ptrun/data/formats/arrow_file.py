"""Reads large CSV files, and Parquet files, with Arrow: alone imports pyarrow. All cells become text.

What Arrow would read in another way than Python's csv module is left to that.
"""

from __future__ import annotations

import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_dialect import Dialect
from ptrun.errors import DataError

PARQUET_SUFFIXES = (".parquet", ".pq")
_BLOCK_BYTES = 2**22
_SCAN_BYTES = 2**17  # stays in the CPU's cache
_OVERLAP = 64


@dataclass
class _Scan:
    """What the bytes of a file say: its lines, and whether Arrow reads it in another way than Python's csv module."""

    lines: int = 0
    has_quotes: bool = False
    is_odd: bool = False


def read_columns(path: Path, dialect: Dialect) -> tuple[dict[str, Column], list[int] | range] | None:
    """The columns of a CSV file, and the row number of each row; None when Python's csv module has to read it."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    scan = _scan(path, dialect.delimiter.encode())
    if scan.is_odd or len(dialect.names) == 1:
        return None
    names = [*dialect.names, "\0end of row"] if dialect.ends_empty else list(dialect.names)
    try:
        table = arrow_csv.read_csv(
            path,
            arrow_csv.ReadOptions(column_names=names, skip_rows=int(dialect.has_header), block_size=_BLOCK_BYTES),
            arrow_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=scan.has_quotes),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False),
        )
    except (pyarrow.ArrowException, OSError):
        return None
    cells = {name: table[name] for name in names}
    if dialect.ends_empty and any(cell.strip() for cell in cells.pop(names[-1]).to_pylist()):
        return None
    rows = _row_numbers(path, dialect, scan, table.num_rows)
    if rows is None:
        return None
    columns = {name: Column(array) for name, array in cells.items()}
    with ThreadPoolExecutor(pyarrow.cpu_count()) as pool:
        deque(pool.map(lambda column: column.floats, columns.values()), maxlen=0)  # each column keeps its numbers
    return columns, rows


def _scan(path: Path, delimiter: bytes) -> _Scan:
    scan, before = _Scan(), b""
    # A quote after a space begins a quoted cell for Python only.
    spaced_quote = re.compile(rb"(?:^|[\n" + re.escape(delimiter) + rb"])[ ]+\"", re.MULTILINE)
    last = b"\n"
    with path.open("rb") as file:
        first_line = file.readline()
        scan.is_odd = not first_line.strip() or first_line.count(b'"') % 2 == 1  # one row is not one line here
        file.seek(0)
        while block := file.read(_SCAN_BYTES):
            scan.lines += block.count(b"\n")
            scan.has_quotes = scan.has_quotes or b'"' in block
            window = before + block
            scan.is_odd = scan.is_odd or b"\0" in block or _has_bare_return(window)
            scan.is_odd = scan.is_odd or (b' "' in window and spaced_quote.search(window) is not None)
            before, last = block[-_OVERLAP:], block[-1:]
    scan.lines += last != b"\n"
    return scan


def _has_bare_return(text: bytes) -> bool:
    """Whether a line ends in a carriage return alone, as on very old systems."""
    return b"\r" in text and re.search(rb"\r(?!\n)", text[:-1]) is not None


def _row_numbers(path: Path, dialect: Dialect, scan: _Scan, count: int) -> list[int] | range | None:
    """The line on which each row ends; None when the two parsers do not agree on the rows."""
    first = 1 + dialect.has_header
    if scan.lines == count + dialect.has_header:
        return range(first, first + count)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [number for number, _ in dialect.data_rows(dialect.reader(file))]
    return rows if len(rows) == count else None


def read_parquet(path: Path) -> dict[str, Column]:
    """The columns of a Parquet file as text; a missing value is an empty cell. Raises DataError."""
    import pyarrow
    from pyarrow import parquet

    try:
        return _as_text(parquet.read_table(path), path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} can't be read as Parquet: {error}.") from error


def _as_text(table: Any, path: Path) -> dict[str, Column]:
    import pyarrow
    from pyarrow import compute

    columns = {}
    for name in table.column_names:
        try:
            text = compute.cast(table[name], pyarrow.string())
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
            raise DataError(
                f"{path}, column '{name}': {table[name].type} can't be read as cells of a table."
            ) from error
        columns[name] = Column(compute.fill_null(text, ""))
    return columns
