"""Parses CSV text with Arrow: columns of numbers become numbers at once, and all others texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats.column import MISSING, Column, arrow_floats, without_missing
from ptrun.data.formats.csv_dialect import Dialect

_BLOCK_BYTES = 2**22  # of a file that Arrow reads by itself
_TEXT_BYTES = 2**28  # a text in memory is one block
_END = "\0end of row"
_HEAD_CELLS = 64
_EXACT_INTEGERS = 2.0**53


@dataclass(frozen=True)
class Block:
    """Some rows: floats by column (NaN for missing ones), and arrays of texts by column.

    heads: the first texts of the columns of floats, if they are known.
    """

    num_rows: int
    floats: dict[str, NDArray[np.float64]]
    texts: dict[str, Any]
    heads: dict[str, list[str]] = field(default_factory=dict)


class BlockParser:
    """Parses block after block of one CSV text; each is whole rows, and no cell goes on in the next line.

    numeric: the columns that are tried as numbers. One with a cell that Arrow does not read as a number or a missing
    one is taken out, and given as text from then on.
    columns: that are wanted; None for all.
    """

    def __init__(self, dialect: Dialect, numeric: Iterable[str], columns: Collection[str] | None = None) -> None:
        self._dialect = dialect
        self._columns = tuple(name for name in dialect.names if columns is None or name in columns)
        self.numeric = frozenset(numeric).intersection(self._columns)

    def parse(self, text: bytes, skip_rows: int = 0) -> Block | None:
        """The rows of a text; None when one is of another length, or no row has a cell."""
        numeric = self.numeric
        table = self._table(text, numeric, skip_rows) if numeric else None
        if table is None:
            return self.learn(text, skip_rows)
        names = [name for name in self._columns if name in numeric]
        floats = dict(zip(names, _matrix(table, names), strict=True))
        return Block(table.num_rows, floats, self._texts(table, numeric))

    def learn(self, text: bytes, skip_rows: int = 0) -> Block | None:
        """As `parse`; also finds out from the texts which columns are no numbers, or too long ones for a float."""
        table = self._table(text, frozenset(), skip_rows)
        if table is None:
            return None
        tried = {name: _numbers(table[name]) for name in self._columns if name in self.numeric}
        floats = {name: values for name, values in tried.items() if values is not None and _is_exact(values)}
        self.numeric &= frozenset(floats)
        heads = {name: [text.strip() for text in table[name][:_HEAD_CELLS].to_pylist()] for name in floats}
        return Block(table.num_rows, floats, self._texts(table, floats), heads)

    def parse_lines(self, lines: Sequence[bytes]) -> dict[str, Column] | None:
        """The columns of lines that are one row each; None when Python's csv module has to read them."""
        text = b"".join(lines)
        if b"\0" in text or has_bare_return(text) or len(self._dialect.names) == 1:
            return None
        if b'"' in text and (text.count(b'"') % 2 or has_spaced_quote(text, self._dialect.delimiter.encode())):
            return None
        block = self.parse(text) if _is_utf8(text) else None
        if block is None or block.num_rows != len(lines):
            return None
        columns = {name: Column(texts) for name, texts in block.texts.items()}
        for name, values in block.floats.items():
            columns[name] = Column.of_numbers(values, partial(self._later, text, name))
        return {name: columns[name] for name in self._columns}

    def _later(self, text: bytes, name: str) -> Any:
        """The texts of a column of numbers."""
        block = BlockParser(self._dialect, (), (name,)).parse(text)
        assert block is not None  # it was parsed before
        return block.texts[name]

    def _texts(self, table: Any, numeric: Collection[str]) -> dict[str, Any]:
        return {name: table[name] for name in self._columns if name not in numeric}

    def _table(self, text: bytes, numeric: Collection[str], skip_rows: int) -> Any:
        import pyarrow

        # Without Arrow's threads, which abort a process that ends soon after (apache/arrow issue 34314).
        source = pyarrow.BufferReader(text)
        options = _options(
            self._dialect, self._columns, frozenset(numeric), skip_rows, block_bytes=_TEXT_BYTES, use_threads=False
        )
        return _parse(source, options)


def read_texts(path: Path, dialect: Dialect, columns: Iterable[str], *, has_quotes: bool) -> Any:
    """Some columns of a file as texts in a table of Arrow; None when a row is of another length.

    has_quotes: whether a cell may hold a line end.
    """
    return _parse(path, _options(dialect, tuple(columns), frozenset(), int(dialect.has_header), has_quotes=has_quotes))


def _parse(source: Any, options: tuple[Any, Any, Any]) -> Any:
    """A CSV text as a table of Arrow; None when a row is of another length or a cell is no number."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    try:
        table = arrow_csv.read_csv(source, *options)
    except (pyarrow.ArrowException, OSError):
        return None
    if table.column_names[-1] == _END and any(cell.strip() for cell in table[_END].to_pylist()):
        return None
    return table


@lru_cache(maxsize=8)  # to make them for 500 columns takes a tenth of the time of parsing a block
def _options(
    dialect: Dialect,
    columns: tuple[str, ...],
    numeric: frozenset[str],
    skip_rows: int,
    *,
    has_quotes: bool = False,
    block_bytes: int = _BLOCK_BYTES,
    use_threads: bool = True,
) -> tuple[Any, Any, Any]:
    """The options of Arrow to read some columns, those of `numeric` as float64 and the others as texts."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    end = (_END,) if dialect.ends_empty else ()
    types = {name: pyarrow.float64() if name in numeric else pyarrow.string() for name in (*columns, *end)}
    return (
        arrow_csv.ReadOptions(
            column_names=[*dialect.names, *end], skip_rows=skip_rows, block_size=block_bytes, use_threads=use_threads
        ),
        arrow_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=has_quotes),
        arrow_csv.ConvertOptions(
            column_types=types, null_values=sorted(MISSING), strings_can_be_null=False, include_columns=list(types)
        ),
    )


def _matrix(table: Any, names: Sequence[str]) -> NDArray[np.float64]:
    """Some columns of numbers, each as a row, with NaN for null: 500 columns one by one take ten times as long."""
    if not names:
        return np.zeros((0, table.num_rows))
    batches = table.select(names).to_batches()
    parts = [batch.to_tensor(null_to_nan=True, row_major=False).to_numpy().T for batch in batches]
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros((len(names), 0)), *parts], axis=1)


def _numbers(cells: Any) -> NDArray[np.float64] | None:
    """The numbers of texts that Arrow reads as such when it parses; texts with spaces, for example, are left out."""
    values = arrow_floats(cells)
    return arrow_floats(without_missing(cells)) if values is None else values


def _is_exact(values: NDArray[np.float64]) -> bool:
    """Whether whole numbers of this size are different floats."""
    return not (np.abs(values[np.isfinite(values)]) > _EXACT_INTEGERS).any()


def _is_utf8(text: bytes) -> bool:
    """Whether a text can be decoded; Arrow does not look at columns that nobody wants."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def has_spaced_quote(text: bytes, delimiter: bytes) -> bool:
    """Whether a quote follows a space at the start of a cell: only for Python does it begin a quoted cell."""
    if b'"' not in text or b' "' not in text:
        return False
    return re.search(rb"(?:^|[\n" + re.escape(delimiter) + rb"])[ ]+\"", text, re.MULTILINE) is not None


def has_bare_return(text: bytes) -> bool:
    """Whether a line ends in a carriage return alone, as on very old systems."""
    return b"\r" in text and re.search(rb"\r(?!\n)", text[:-1]) is not None
