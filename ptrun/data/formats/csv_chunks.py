"""Reads a CSV file of any length in chunks of rows. A row that does not fit is reported in its place."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ptrun.data.formats.csv_file import CsvFile, find_separator, header_names
from ptrun.errors import DataError

_FIRST_LINES = 20  # in which the separator is looked for


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
    header: bool = True,
    start: int = 0,
) -> Iterator[CsvChunk]:
    """The rows of a CSV text from the row at position `start` on, counted without the header and blank lines.

    names: of the columns, for a file without a header. Raises DataError for an empty file and a repeated name.
    """
    lines = iter(lines)
    first_lines = list(itertools.islice(lines, _FIRST_LINES))
    separator = find_separator([line for line in first_lines if line.strip()][:2])
    reader = csv.reader(itertools.chain(first_lines, lines), delimiter=separator, skipinitialspace=True)
    rows: Iterator[tuple[list[str], int]] = (
        (cells, reader.line_num) for cells in reader if cells and (len(cells) > 1 or cells[0].strip())
    )
    if header:
        first, _ = next(rows, ([], 0))
        names = header_names(first, source)
    else:
        first, number = next(rows, ([], 0))
        if not first:
            raise DataError(f"{source} is empty: it has no data rows.")
        names = names or [f"column {i + 1}" for i in range(len(first))]
        rows = itertools.chain([(first, number)], rows)
    rows = itertools.islice(rows, start, None)
    try:
        while chunk := list(itertools.islice(rows, chunk_rows)):
            yield _chunk(chunk, names, source)
    except csv.Error as error:
        raise DataError(f"{source}, row {reader.line_num}: it can't be read as CSV: {error}.") from error


def _chunk(chunk: Sequence[tuple[list[str], int]], names: Sequence[str], source: str) -> CsvChunk:
    width = len(names)
    problems = {
        number: f"it has {len(cells)} cells, but the file has {width} columns"
        for cells, number in chunk
        if len(cells) != width
    }
    good = [(cells, number) for cells, number in chunk if len(cells) == width] if problems else chunk
    columns = {
        name: list(map(str.strip, cells))
        for name, cells in zip(names, zip(*(cells for cells, _ in good), strict=True), strict=False)
    } or {name: [] for name in names}
    return CsvChunk(CsvFile(source, columns, [number for _, number in good]), [number for _, number in chunk], problems)
