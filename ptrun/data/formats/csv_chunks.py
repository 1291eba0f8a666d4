"""Reads a CSV or Parquet file of any length in chunks of rows. A row that does not fit is reported in its place.

The first chunk of a CSV text is parsed by Python's csv module, the others by Arrow where both read them alike: small
files are done before Arrow is imported.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Protocol, cast

from ptrun.data.formats import arrow_file
from ptrun.data.formats.arrow_csv import BlockParser, has_bare_return
from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_dialect import SAMPLE_LINES, Dialect, Header, find_dialect
from ptrun.data.formats.csv_file import CsvFile, csv_errors
from ptrun.data.formats.text_encoding import encoding_of, not_decodable
from ptrun.errors import DataError


@dataclass(frozen=True)
class CsvChunk:
    """Consecutive rows: `file` holds those of the right length, `problems` says by row number why others are not there.

    rows: the row numbers of all of them.
    """

    file: CsvFile
    rows: Sequence[int]
    problems: dict[int, str]


@dataclass(frozen=True)
class Wanted:
    """What is read of a large file. columns: None for all. numbers: those to be read as numbers at once."""

    columns: Collection[str] | None = None
    numbers: Collection[str] = ()


ALL = Wanted()


class ReadChunks(Protocol):
    """Reads a table again: the rows from position `start` on, in chunks of `chunk_rows` rows."""

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
    wanted: Wanted = ALL,
    may_lack: str = "",
) -> Iterator[CsvChunk]:
    """The rows of a Parquet or CSV file, as `read_chunks` gives them. Raises DataError for an unreadable file."""
    if path.suffix.lower() in arrow_file.PARQUET_SUFFIXES:
        yield from _parquet_chunks(path, chunk_rows, start)
        return
    with csv_errors(path), _open_lines(path) as lines:  # errors of opening it
        yield from read_chunks(
            lines,
            str(path),
            chunk_rows,
            names=names,
            header=header,
            delimiter=delimiter,
            start=start,
            wanted=wanted,
            may_lack=may_lack,
        )


def _open_lines(path: Path) -> IO[bytes] | IO[str]:
    """The lines of a file: bytes, of which Arrow takes many at once, where they are UTF-8."""
    encoding = encoding_of(path)
    return path.open(encoding=encoding, newline="") if encoding == "utf-16" else path.open("rb")


def read_chunks(
    lines: Iterable[bytes] | Iterable[str],
    source: str,
    chunk_rows: int,
    *,
    names: Sequence[str] | None = None,
    header: Header = True,
    delimiter: str = "auto",
    start: int = 0,
    wanted: Wanted = ALL,
    may_lack: str = "",
) -> Iterator[CsvChunk]:
    """The rows of a CSV text from the row at position `start` on, counted without the header and blank lines.

    All chunks but the last have `chunk_rows` rows. names, may_lack: see find_dialect.
    Raises DataError for an empty file and a repeated name.
    """
    queue = _Lines(lines)
    with csv_errors(source):
        dialect = find_dialect(queue.first(SAMPLE_LINES), source, names, header, delimiter, may_lack)
    parser = BlockParser(dialect, wanted.numbers, wanted.columns)
    reader = dialect.reader(queue)
    rows: Iterator[tuple[int, list[str]]] = itertools.islice(dialect.data_rows(reader), start, None)
    line_count = 0  # before the lines of `reader`
    try:
        while chunk := list(itertools.islice(rows, chunk_rows)):
            yield _chunk([(line_count + number, cells) for number, cells in chunk], dialect, source)
            line_count += reader.line_num
            while block := queue.take(chunk_rows):
                columns = parser.parse_lines(block)
                if columns is None:
                    queue.give_back(block)
                    break
                yield _arrow_chunk(columns, line_count + 1, len(block), dialect, source)
                line_count += len(block)
            reader = dialect.reader(queue)
            rows = replace(dialect, has_header=False).data_rows(reader)
    except UnicodeDecodeError as error:
        raise DataError(not_decodable(source, error)) from error
    except csv.Error as error:
        row = line_count + reader.line_num
        raise DataError(f"{source}, row {row}: it can't be read as CSV: {error}.") from error


class _Lines:
    """The lines of a CSV file: texts for Python's csv module, one by one, or bytes for Arrow, many at once."""

    def __init__(self, lines: Iterable[bytes] | Iterable[str]) -> None:
        self._lines: Iterator[bytes | str] = iter(lines)
        self._waiting: deque[bytes | str] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self._lines)
        text = line.decode() if isinstance(line, bytes) else line
        if "\r" in text and has_bare_return(text.encode()):  # a line end in very old files
            text, *others = io.StringIO(text, newline="")
            self._waiting.extendleft(reversed(others))
        return text

    def first(self, count: int) -> list[str]:
        """The first lines, which are not taken out, without the mark that some programs begin a file with."""
        lines = list(itertools.islice(self, 1))
        lines = [line.removeprefix(codecs.BOM_UTF8.decode()) for line in lines]
        lines += itertools.islice(self, count - 1)
        self._waiting.extendleft(reversed(lines))
        return lines

    def take(self, count: int) -> list[bytes]:
        """The next lines."""
        waiting = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        lines = [*waiting, *itertools.islice(self._lines, count - len(waiting))]
        if waiting or (lines and isinstance(lines[0], str)):
            return [line.encode() if isinstance(line, str) else line for line in lines]
        return cast("list[bytes]", lines)

    def give_back(self, lines: Sequence[bytes]) -> None:
        """Put lines before those that come."""
        self._waiting.extendleft(reversed(lines))


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
