"""Reads a CSV or Parquet file of any length in chunks of rows. A row that does not fit is reported in its place.

The first chunk of a CSV text is parsed by Python's csv module, the others by Arrow where both read them alike: small
files are done before Arrow is imported.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ptrun.data.formats import arrow_file
from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_dialect import SAMPLE_LINES, Dialect, Header, find_dialect
from ptrun.data.formats.csv_file import CsvFile, readable_csv
from ptrun.errors import DataError


@dataclass(frozen=True)
class CsvChunk:
    """Consecutive rows: `file` holds those of the right length, `problems` says by row number why others are not there.

    rows: the row numbers of all of them.
    """

    file: CsvFile
    rows: Sequence[int]
    problems: dict[int, str]


class ReadChunks(Protocol):
    """Reads a table anew: the rows from position `start` on, in chunks of `chunk_rows` rows."""

    def __call__(self, *, chunk_rows: int, start: int) -> Iterator[CsvChunk]: ...


@dataclass(frozen=True)
class InMemory:
    """Rows that are in memory, read as those of a file."""

    file: CsvFile

    def __call__(self, *, chunk_rows: int, start: int) -> Iterator[CsvChunk]:
        for first in range(start, len(self.file), chunk_rows):
            whole = first == 0 and len(self.file) <= chunk_rows
            end = min(first + chunk_rows, len(self.file))
            part = self.file if whole else self.file.take(range(first, end))
            yield CsvChunk(part, part.rows, {})


def read_file_chunks(
    path: Path,
    chunk_rows: int,
    *,
    names: Sequence[str] | None = None,
    header: Header = True,
    delimiter: str = "auto",
    start: int = 0,
) -> Iterator[CsvChunk]:
    """The rows of a Parquet or CSV file, as `read_chunks` gives them. Raises DataError for an unreadable file."""
    if path.suffix.lower() in arrow_file.PARQUET_SUFFIXES:
        yield from _parquet_chunks(path, chunk_rows, start)
        return
    with readable_csv(path) as lines:
        yield from read_chunks(
            lines, str(path), chunk_rows, names=names, header=header, delimiter=delimiter, start=start
        )


def read_chunks(
    lines: Iterable[str],
    source: str,
    chunk_rows: int,
    *,
    names: Sequence[str] | None = None,
    header: Header = True,
    delimiter: str = "auto",
    start: int = 0,
) -> Iterator[CsvChunk]:
    """The rows of a CSV text from the row at position `start` on, counted without the header and blank lines.

    All chunks but the last have `chunk_rows` rows. names: of the columns, for a file without a header.
    Raises DataError for an empty file and a repeated name.
    """
    lines = iter(lines)
    first_lines = list(itertools.islice(lines, SAMPLE_LINES))
    dialect = find_dialect(first_lines, source, names, header, delimiter)
    lines = itertools.chain(first_lines, lines)
    reader = dialect.reader(lines)
    rows: Iterator[tuple[int, list[str]]] = itertools.islice(dialect.data_rows(reader), start, None)
    line_count = 0  # before the lines of `reader`
    try:
        while chunk := list(itertools.islice(rows, chunk_rows)):
            yield _chunk([(line_count + number, cells) for number, cells in chunk], dialect, source)
            line_count += reader.line_num
            while block := list(itertools.islice(lines, chunk_rows)):
                columns = arrow_file.read_lines(block, dialect)
                if columns is None:
                    break
                yield _arrow_chunk(columns, line_count + 1, len(block), dialect, source)
                line_count += len(block)
            lines = itertools.chain(block, lines)
            reader = dialect.reader(lines)
            rows = replace(dialect, has_header=False).data_rows(reader)
    except csv.Error as error:
        row = line_count + reader.line_num
        raise DataError(f"{source}, row {row}: it can't be read as CSV: {error}.") from error


def _chunk(chunk: Sequence[tuple[int, list[str]]], dialect: Dialect, source: str) -> CsvChunk:
    width = len(dialect.names)
    problems = {number: dialect.misfit(cells) for number, cells in chunk if len(cells) != width}
    good = [(number, cells) for number, cells in chunk if number not in problems] if problems else chunk
    columns = {
        name: Column(list(map(str.strip, cells)))
        for name, cells in zip(dialect.names, zip(*(cells for _, cells in good), strict=True), strict=False)
    } or {name: Column([]) for name in dialect.names}
    numbers = [number for number, _ in good]
    file = CsvFile(source, columns, numbers, dialect.delimiter, dialect.nameless, dialect.has_header)
    return CsvChunk(file, [number for number, _ in chunk], problems)


def _arrow_chunk(columns: dict[str, Column], first: int, count: int, dialect: Dialect, source: str) -> CsvChunk:
    rows = range(first, first + count)
    file = CsvFile(source, columns, rows, dialect.delimiter, dialect.nameless, dialect.has_header)
    return CsvChunk(file, rows, {})


def _parquet_chunks(path: Path, chunk_rows: int, start: int) -> Iterator[CsvChunk]:
    first = 1
    for columns in arrow_file.read_parquet_chunks(path, chunk_rows):
        rows = range(first, first + len(next(iter(columns.values()), ())))
        first = rows.stop
        file = CsvFile(str(path), columns, rows)
        if rows.stop - 1 > start:
            file = file.take(range(max(0, start + 1 - rows.start), len(rows)))
            yield CsvChunk(file, file.rows, {})
