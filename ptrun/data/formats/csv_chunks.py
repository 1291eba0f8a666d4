"""Reads a CSV file of any length in chunks of rows. A row that does not fit is reported in its place."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_dialect import SAMPLE_LINES, Dialect, Header, find_dialect
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import DataError


@dataclass(frozen=True)
class CsvChunk:
    """Consecutive rows: `file` holds those of the right length, `problems` says by row number why others are not there.

    rows: the row numbers of all of them.
    """

    file: CsvFile
    rows: Sequence[int]
    problems: dict[int, str]


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

    names: of the columns, for a file without a header. Raises DataError for an empty file and a repeated name.
    """
    lines = iter(lines)
    first_lines = list(itertools.islice(lines, SAMPLE_LINES))
    dialect = find_dialect(first_lines, source, names, header, delimiter)
    reader = dialect.reader(itertools.chain(first_lines, lines))
    rows = itertools.islice(dialect.data_rows(reader), start, None)
    try:
        while chunk := list(itertools.islice(rows, chunk_rows)):
            yield _chunk(chunk, dialect, source)
    except csv.Error as error:
        raise DataError(f"{source}, row {reader.line_num}: it can't be read as CSV: {error}.") from error


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
