"""Reads a table of cells from a CSV or Parquet file.

Row numbers are line numbers, as an editor or spreadsheet shows them: the header is row 1.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats import arrow_file
from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_dialect import SAMPLE_LINES, Dialect, Header, find_dialect
from ptrun.data.formats.text_encoding import encoding_of, not_decodable
from ptrun.errors import DataError, did_you_mean, join_words

# This many rows are turned into columns at a time: they stay in the CPU's cache, and too few objects are alive for the
# garbage collector to run (measured: a quarter of the time of turning all rows at once).
CHUNK_ROWS = 256
# Below this size, Python's own parser is done before Arrow is imported.
LARGE_BYTES = 2**21


@dataclass(frozen=True)
class CsvFile:
    """Cells of a file, column by column, without surrounding spaces; rows[i] is the row number of cell i.

    columns: name → cells; lists of texts become `Column`s. nameless: columns that the header line leaves empty.
    has_header: whether the first line names the columns. notes: what was found about how the file is written.
    """

    source: str
    columns: Mapping[str, Sequence[str]]
    rows: Sequence[int]
    delimiter: str = ","
    nameless: frozenset[str] = frozenset()
    has_header: bool = True
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        columns = {n: c if isinstance(c, Column) else Column(list(c)) for n, c in self.columns.items()}
        object.__setattr__(self, "columns", columns)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Column:
        cells = self.columns[name]
        assert isinstance(cells, Column)
        return cells

    def column(self, name: str, setting: str) -> Column:
        """Return the cells of a column. Raises DataError that suggests the nearest name when there is none."""
        if name not in self.columns:
            raise DataError(
                f"{setting}: {self.source} has no column '{name}'.{did_you_mean(name, self.columns)} "
                f"It has: {join_words(self.columns)}.{self._header_hint()}"
            )
        return self[name]

    def _header_hint(self) -> str:
        if self.has_header:
            return ""
        return (
            " The file is read as one without a header line, since its first row is like all others: its columns are "
            "numbered from the left. If the first row names them, set dataset.header=true."
        )

    def take(self, positions: Sequence[int] | NDArray[np.int64]) -> CsvFile:
        """The same columns with the rows at `positions` only."""
        columns = {name: self[name].take(positions) for name in self.columns}
        rows = [self.rows[i] for i in positions]
        return CsvFile(self.source, columns, rows, self.delimiter, self.nameless, self.has_header, self.notes)


def joined(files: Sequence[CsvFile]) -> CsvFile:
    """The rows of several parts of one file."""
    columns = {name: list(itertools.chain.from_iterable(file[name] for file in files)) for name in files[0].columns}
    rows = list(itertools.chain.from_iterable(file.rows for file in files))
    return replace(files[0], columns=columns, rows=rows)


def read_csv(
    path: Path,
    names: Sequence[str] | None = None,
    *,
    header: Header = True,
    delimiter: str = "auto",
    is_text: Callable[[str], bool] = lambda name: False,
) -> CsvFile:
    """Read a Parquet file, or a CSV file whose delimiter is a comma, semicolon, tab or bar, found from its first lines.

    names: the columns of a file without a header line. header: "auto" finds out whether there is one.
    is_text: whether the texts of a column will be asked for; those of other numbers are then read a second time.
    Blank lines are skipped. Raises DataError for an empty or unreadable file, a header that repeats a name, and a row
    of another length.
    """
    if path.suffix.lower() in arrow_file.PARQUET_SUFFIXES:
        columns = arrow_file.read_parquet(path)
        return CsvFile(str(path), columns, range(1, 1 + len(next(iter(columns.values()), []))))
    dialect = _dialect(path, names, header, delimiter)
    if path.stat().st_size >= LARGE_BYTES and (found := arrow_file.read_columns(path, dialect, is_text)) is not None:
        columns, rows = found
        return _file(path, dialect, columns, rows)
    chunks = list(_python_chunks(path, dialect, CHUNK_ROWS))
    merged = [list(itertools.chain.from_iterable(parts)) for parts in zip(*(cells for cells, _ in chunks), strict=True)]
    rows = [row for _, chunk_rows in chunks for row in chunk_rows]
    return _file(path, dialect, dict(zip(dialect.names, map(Column, merged), strict=False)), rows)


def _file(path: Path, dialect: Dialect, columns: Mapping[str, Column], rows: Sequence[int]) -> CsvFile:
    if not rows:
        raise DataError(f"{path} is empty: it has no data rows.")
    notes = []
    if dialect.was_found:
        notes.append(
            f"No header line: the first row of {path.name} is like all others, so that the columns are called "
            f"{join_words(map(repr, dialect.names), 3)}. If it names them, set dataset.header=true."
        )
    if dialect.ends_empty:
        notes.append(f"Each row of {path.name} ends in a delimiter; the empty cell after it is passed over.")
    return CsvFile(str(path), columns, rows, dialect.delimiter, dialect.nameless, dialect.has_header, tuple(notes))


def num_columns(path: Path, delimiter: str) -> int:
    """How many columns a file without a header line has. Raises DataError as `read_csv` does."""
    return len(_dialect(path, None, False, delimiter).names)


def _dialect(path: Path, names: Sequence[str] | None, header: Header, delimiter: str) -> Dialect:
    with readable_csv(path) as file:
        return find_dialect(list(itertools.islice(file, SAMPLE_LINES)), str(path), names, header, delimiter)


@contextlib.contextmanager
def readable_csv(path: Path) -> Iterator[TextIO]:
    """Open a CSV file as text; errors of opening, decoding and parsing it become DataErrors that name the file."""
    with csv_errors(path), path.open(encoding=encoding_of(path), newline="") as file:
        yield file


@contextlib.contextmanager
def csv_errors(source: str | Path) -> Iterator[None]:
    """Errors of opening, decoding and parsing a CSV file become DataErrors that name it."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(not_decodable(source, error)) from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{source} can't be read as CSV: {error}.") from error


Chunk = tuple[list[list[str]], list[int]]  # cells, column by column, and the row number of each row


def _python_chunks(path: Path, dialect: Dialect, chunk_rows: int) -> Iterator[Chunk]:
    """The rows of a file, column by column, `chunk_rows` at a time. Raises DataError for a row of another length."""
    with readable_csv(path) as file:
        numbered = dialect.data_rows(dialect.reader(file))
        while chunk := list(itertools.islice(numbered, chunk_rows)):
            for number, cells in chunk:
                if len(cells) != len(dialect.names):
                    raise DataError(f"{path}, row {number}: {dialect.misfit(cells)}. Repair or remove the row.")
            columns = zip(*(cells for _, cells in chunk), strict=True)
            yield [list(map(str.strip, cells)) for cells in columns], [number for number, _ in chunk]
