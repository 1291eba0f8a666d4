"""Reads large CSV files, and Parquet files, with Arrow. Numbers are read as such, and their texts when asked for.

What Arrow would read in another way than Python's csv module is left to that.
"""

from __future__ import annotations

import codecs
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats.arrow_csv import Block, BlockParser, has_bare_return, has_spaced_quote, read_texts
from ptrun.data.formats.column import Column, to_numpy
from ptrun.data.formats.csv_dialect import Dialect
from ptrun.errors import DataError

PARQUET_SUFFIXES = (".parquet", ".pq")
PIECE_BYTES = 2**22
_SCAN_BYTES = 2**17  # stays in the CPU's cache
_OVERLAP = 64
_BUFFER_BYTES = 2**20  # of each column of a Parquet file, in place of all its bytes in a row group

IsText = Callable[[str], bool]  # whether the texts of a column of this name will be asked for


@dataclass(frozen=True)
class _Piece:
    """Whole lines of a file: where they begin and end in it, and the lines before and with them."""

    start: int
    stop: int
    first_line: int
    last_line: int


@dataclass
class _Scan:
    """What the bytes of a file say: its lines, and whether Arrow reads it in another way than Python's csv module."""

    lines: int = 0
    has_quotes: bool = False
    is_odd: bool = False
    pieces: list[_Piece] = field(default_factory=list)


def read_columns(
    path: Path, dialect: Dialect, is_text: IsText = lambda name: False
) -> tuple[dict[str, Column], list[int] | range] | None:
    """The columns of a CSV file, and the row number of each row; None when Python's csv module has to read it."""
    import pyarrow

    scan = _scan(path, dialect.delimiter.encode())
    if scan.is_odd or len(dialect.names) == 1:
        return None
    with ThreadPoolExecutor(pyarrow.cpu_count()) as pool:
        columns = None if scan.has_quotes else _Pieces(path, dialect, scan, is_text).columns(pool)
        if columns is None:
            columns = _read_texts(path, dialect, dialect.names, has_quotes=scan.has_quotes)
        if columns is None:
            return None
        rows = _row_numbers(path, dialect, scan, len(next(iter(columns.values()))))
        if rows is None:
            return None
        deque(pool.map(lambda column: column.floats, columns.values()), maxlen=0)  # each column keeps its numbers
    return columns, rows


class _Pieces:
    """Reads a file without quotes piece by piece, in threads: columns of numbers at once as numbers."""

    def __init__(self, path: Path, dialect: Dialect, scan: _Scan, is_text: IsText) -> None:
        self._path, self._dialect, self._scan = path, dialect, scan
        self._parser = BlockParser(dialect, [name for name in dialect.names if not is_text(name)])
        self._floats: dict[str, NDArray[np.float64]] = {}

    def columns(self, pool: ThreadPoolExecutor) -> dict[str, Column] | None:
        """All columns; None when a line is blank or of another length."""
        state = _state(self._path)
        blocks = [self._block(self._scan.pieces[0], self._parser.learn)]
        if blocks[0] is not None:
            others = self._scan.pieces[1:]
            blocks += pool.map(self._block, others, itertools.repeat(self._parser.parse))
        if any(block is None for block in blocks):
            return None
        return self._joined([block for block in blocks if block is not None], state)

    def _block(self, piece: _Piece, parse_block: Callable[[bytes, int], Block | None]) -> Block | None:
        """The texts of a piece; its numbers are put in their place."""
        with self._path.open("rb") as file:
            file.seek(piece.start)
            text = file.read(piece.stop - piece.start)
        if piece.start and text.startswith(codecs.BOM_UTF8):
            return None  # a sign of its own here; Arrow leaves it out
        header = int(self._dialect.has_header)
        block = parse_block(text, 0 if piece.start else header)
        first, last = max(0, piece.first_line - header), piece.last_line - header
        if block is None or block.num_rows != last - first:
            return None
        if piece.start == 0:
            self._floats = {name: np.empty(self._scan.lines - header) for name in block.floats}
        for name in self._floats.keys() & block.floats.keys():
            self._floats[name][first:last] = block.floats[name]
        return Block(block.num_rows, {}, block.texts, block.heads if piece.start == 0 else {})

    def _joined(self, blocks: Sequence[Block], state: object) -> dict[str, Column] | None:
        """The columns of all blocks; those that became texts after the first block are read again."""
        import pyarrow

        path, dialect, numeric = self._path, self._dialect, self._parser.numeric
        mixed = [name for name in self._floats if name not in numeric]
        again = _read_texts(path, dialect, mixed, has_quotes=False) if mixed else {}
        if again is None:
            return None
        later = _LaterTexts(path, dialect, [name for name in dialect.names if name in numeric], state)
        columns = dict(again)
        for name in dialect.names:
            if name in numeric:
                columns[name] = Column.of_numbers(self._floats[name], partial(later.of, name), blocks[0].heads[name])
            elif name not in again:
                chunks = [chunk for block in blocks for chunk in block.texts[name].chunks]
                columns[name] = Column(pyarrow.chunked_array(chunks, pyarrow.string()))
        return {name: columns[name] for name in dialect.names}


class _LaterTexts:
    """The texts of columns whose numbers are known: all are read when the first of them is asked for."""

    def __init__(self, path: Path, dialect: Dialect, names: Sequence[str], state: object) -> None:
        self._path, self._dialect, self._names, self._state = path, dialect, names, state
        self._texts: Any = None

    def of(self, name: str) -> Any:
        """The texts of a column, as an array of Arrow. Raises DataError when the file is another one by now."""
        if self._texts is None:
            self._texts = read_texts(self._path, self._dialect, self._names, has_quotes=False)
            if self._texts is None or _state(self._path) != self._state:
                raise DataError(f"{self._path} was changed while it was read. Give the command again.")
        return self._texts[name]


def _state(path: Path) -> object:
    """What changes when a file is written to."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _read_texts(path: Path, dialect: Dialect, names: Collection[str], *, has_quotes: bool) -> dict[str, Column] | None:
    table = read_texts(path, dialect, names, has_quotes=has_quotes)
    return None if table is None else {name: Column(table[name]) for name in names}


def _scan(path: Path, delimiter: bytes) -> _Scan:
    scan, before, last = _Scan(), b"", b"\n"
    start = start_line = position = 0  # of the piece, and of the block in the file
    with path.open("rb") as file:
        first_line = file.readline()
        scan.is_odd = not first_line.strip() or first_line.count(b'"') % 2 == 1  # one row is not one line here
        file.seek(0)
        while block := file.read(_SCAN_BYTES):
            scan.lines += block.count(b"\n")
            _note_oddness(scan, before + block, delimiter)
            before, last = block[-_OVERLAP:], block[-1:]
            line_end = block.rfind(b"\n")
            end = position + line_end + 1
            position += len(block)
            if line_end >= 0 and end - start >= PIECE_BYTES:
                scan.pieces.append(_Piece(start, end, start_line, scan.lines))
                start, start_line = end, scan.lines
    scan.lines += last != b"\n"
    if position > start:
        scan.pieces.append(_Piece(start, position, start_line, scan.lines))
    return scan


def _note_oddness(scan: _Scan, window: bytes, delimiter: bytes) -> None:
    scan.has_quotes = scan.has_quotes or b'"' in window
    scan.is_odd = scan.is_odd or b"\0" in window or has_bare_return(window) or has_spaced_quote(window, delimiter)


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
        _refuse_repeated(path, parquet.read_schema(path).names)
        return _as_text(parquet.read_table(path), path)
    except (pyarrow.ArrowException, OSError) as error:
        raise _no_parquet(path, error) from error


def read_parquet_chunks(path: Path, chunk_rows: int) -> Iterator[dict[str, Column]]:
    """The columns of a Parquet file as text, `chunk_rows` rows at a time. Raises DataError."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES) as file:
            _refuse_repeated(path, file.schema_arrow.names)
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


def _refuse_repeated(path: Path, names: Sequence[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path} has the column {repeated[0]!r} more than once. Give each column its own name.")


def _no_parquet(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} can't be read as Parquet: {str(error).rstrip('.')}.")


def _as_text(table: Any, path: Path) -> dict[str, Column]:
    import pyarrow

    columns = {}
    for name in table.column_names:
        array = table[name]
        if (values := _exact_floats(array)) is not None:
            columns[name] = Column.of_numbers(values, partial(_texts, array, name, path))
        else:
            columns[name] = Column(_texts(array, name, path))
        kinds = pyarrow.types
        columns[name].was_numbers = any(
            is_kind(array.type) for is_kind in (kinds.is_integer, kinds.is_floating, kinds.is_decimal)
        )
    return columns


def _exact_floats(array: Any) -> NDArray[np.float64] | None:
    """The numbers that the texts of a column of a Parquet file are; None where they have to be parsed."""
    import pyarrow
    from pyarrow import compute

    if not (pyarrow.types.is_integer(array.type) or pyarrow.types.is_float64(array.type)):
        return None
    return to_numpy(compute.cast(array, pyarrow.float64(), safe=False))


def _texts(array: Any, name: str, path: Path) -> Any:
    import pyarrow
    from pyarrow import compute

    try:
        return compute.fill_null(compute.cast(array, pyarrow.string()), "")
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise DataError(f"{path}, column '{name}': {array.type} can't be read as cells of a table.") from error
