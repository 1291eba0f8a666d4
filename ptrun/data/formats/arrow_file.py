"""Reads large CSV files, and Parquet files, with Arrow: alone imports pyarrow. All cells become text.

What Arrow would read in another way than Python's csv module is left to that.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
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
_BUFFER_BYTES = 2**20  # of each column of a Parquet file, in place of all its bytes in a row group


@dataclass
class _Scan:
    """What the bytes of a file say: its lines, and whether Arrow reads it in another way than Python's csv module."""

    lines: int = 0
    has_quotes: bool = False
    is_odd: bool = False


def read_columns(path: Path, dialect: Dialect) -> tuple[dict[str, Column], list[int] | range] | None:
    """The columns of a CSV file, and the row number of each row; None when Python's csv module has to read it."""
    import pyarrow

    scan = _scan(path, dialect.delimiter.encode())
    if scan.is_odd or len(dialect.names) == 1:
        return None
    columns = _parse(path, dialect, scan.has_quotes, int(dialect.has_header), use_threads=True)
    if columns is None:
        return None
    num_rows = len(next(iter(columns.values())))
    rows = _row_numbers(path, dialect, scan, num_rows)
    if rows is None:
        return None
    with ThreadPoolExecutor(pyarrow.cpu_count()) as pool:
        deque(pool.map(lambda column: column.floats, columns.values()), maxlen=0)  # each column keeps its numbers
    return columns, rows


def read_lines(lines: Sequence[str], dialect: Dialect) -> dict[str, Column] | None:
    """The columns of lines that are one row each; None when Python's csv module has to read them."""
    text = "".join(lines).encode()
    if b"\0" in text or _has_bare_return(text) or len(dialect.names) == 1:
        return None
    if b'"' in text and (text.count(b'"') % 2 or _has_spaced_quote(text, dialect.delimiter.encode())):
        return None
    import pyarrow

    # Without Arrow's threads, which abort a process that ends soon after (apache/arrow issue 34314).
    columns = _parse(pyarrow.BufferReader(text), dialect, has_quotes=False, skip_rows=0, use_threads=False)
    return columns if columns is not None and len(next(iter(columns.values()))) == len(lines) else None


def _parse(
    source: Any, dialect: Dialect, has_quotes: bool, skip_rows: int, *, use_threads: bool
) -> dict[str, Column] | None:
    """The columns of a CSV text; None when a row is of another length."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    names = [*dialect.names, "\0end of row"] if dialect.ends_empty else list(dialect.names)
    try:
        table = arrow_csv.read_csv(
            source,
            arrow_csv.ReadOptions(
                column_names=names, skip_rows=skip_rows, block_size=_BLOCK_BYTES, use_threads=use_threads
            ),
            arrow_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=has_quotes),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False),
        )
    except (pyarrow.ArrowException, OSError):
        return None
    cells = {name: table[name] for name in names}
    if dialect.ends_empty and any(cell.strip() for cell in cells.pop(names[-1]).to_pylist()):
        return None
    return {name: Column(array) for name, array in cells.items()}


def _has_spaced_quote(text: bytes, delimiter: bytes) -> bool:
    """Whether a quote follows a space at the begin of a cell: for Python alone, it begins a quoted cell."""
    pattern = rb"(?:^|[\n" + re.escape(delimiter) + rb"])[ ]+\""
    return b' "' in text and re.search(pattern, text, re.MULTILINE) is not None


def _scan(path: Path, delimiter: bytes) -> _Scan:
    scan, before = _Scan(), b""
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
            scan.is_odd = scan.is_odd or _has_spaced_quote(window, delimiter)
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
        raise _no_parquet(path, error) from error


def read_parquet_chunks(path: Path, chunk_rows: int) -> Iterator[dict[str, Column]]:
    """The columns of a Parquet file as text, so many rows at a time. Raises DataError."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES) as file:
            rest = file.schema_arrow.empty_table()
            for batch in file.iter_batches(chunk_rows, use_threads=False):
                rest = pyarrow.concat_tables([rest, pyarrow.Table.from_batches([batch])])
                while rest.num_rows >= chunk_rows:
                    yield _as_text(rest[:chunk_rows], path)
                    rest = rest[chunk_rows:]
            if rest.num_rows:
                yield _as_text(rest, path)
    except (pyarrow.ArrowException, OSError) as error:
        raise _no_parquet(path, error) from error


def _no_parquet(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} can't be read as Parquet: {error}.")


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
