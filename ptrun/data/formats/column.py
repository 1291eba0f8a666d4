"""One column of a file: its cells as text, the distinct texts among them, and the numbers that they are.

The cells are a list, or an array of Arrow, which takes a tenth of the memory of Python's texts. Where a reader knows
the numbers, it leaves the texts out until somebody asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

# Cells that stand for a missing value; those with signs are how spreadsheets, pandas and old C libraries write it.
MISSING = frozenset(
    {"", "?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None"}
    | {"#N/A", "#NA", "<NA>", "-nan", "-NaN", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"}
)


class Column(Sequence[str]):
    """Cells without surrounding spaces."""

    def __init__(self, raw: Any) -> None:
        """`raw` is a list of such texts, or a string array of Arrow with any spaces."""
        self._read: Callable[[], Any] = lambda: raw
        self._head: Sequence[str] = ()
        self._floats: tuple[NDArray[np.float64] | None] | None = None
        self.was_numbers = False  # rather than texts, whose numbers may be written in any form

    @classmethod
    def of_numbers(cls, floats: NDArray[np.float64], read: Callable[[], Any], head: Sequence[str] = ()) -> Column:
        """Cells that are known as numbers, NaN for missing ones. read: gives their texts.

        head: the texts of the first cells, for those who look at the beginning only.
        """
        column = cls(None)
        column._read, column._head, column._floats = read, head, (finite(floats),)
        return column

    def __len__(self) -> int:
        return len(self._raw if self._floats is None or self._floats[0] is None else self._floats[0])

    @cached_property
    def _raw(self) -> Any:
        return self._read()

    @cached_property
    def _cells(self) -> Any:
        """The cells without spaces around them. Columns of numbers are read without: Arrow refuses such spaces."""
        if isinstance(self._raw, list):
            return self._raw
        from pyarrow import compute

        return compute.utf8_trim_whitespace(self._raw)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            if not index.start and index.step is None and 0 < (index.stop or 0) <= len(self._head):
                return list(self._head[: index.stop])
            return self.texts()[index] if isinstance(self._cells, list) else self._cells[index].to_pylist()
        cell = self._cells[index]
        return cell if isinstance(cell, str) else str(cell.as_py())

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.texts() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Column({self[:3]}{'...' if len(self) > 3 else ''})"

    def texts(self) -> list[str]:
        """All cells as a list."""
        cells = self._cells
        return cells if isinstance(cells, list) else list(cells.to_pylist())

    def take(self, positions: Sequence[int] | NDArray[np.int64]) -> Column:
        """The cells at `positions`."""
        if self._floats is not None and self._floats[0] is not None:
            floats = self._floats[0][np.asarray(positions, np.int64)]
            column = Column.of_numbers(floats, lambda: self._taken(positions))
        else:
            column = Column(self._taken(positions))
        column.was_numbers = self.was_numbers
        return column

    def _taken(self, positions: Sequence[int] | NDArray[np.int64]) -> Any:
        if isinstance(self._cells, list):
            return [self._cells[i] for i in positions]
        return self._cells.take(np.asarray(positions, np.int64))

    @cached_property
    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """The distinct texts in the order in which they first appear, and the position of each cell's text [N]."""
        if isinstance(self._raw, list):
            positions: dict[str, int] = {}
            codes = [positions.setdefault(cell, len(positions)) for cell in self._cells]
            return list(positions), np.array(codes, np.int64)
        encoded = _one_chunk(self._raw).dictionary_encode()
        if any(text != text.strip() for text in encoded.dictionary.to_pylist()):
            encoded = _one_chunk(self._cells).dictionary_encode()
        indices = np.zeros(0, np.int32)
        if len(encoded):  # Arrow's own way imports pandas
            indices = np.frombuffer(encoded.indices.buffers()[1], np.int32, len(encoded))
        return encoded.dictionary.to_pylist(), indices.astype(np.int64)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many cells have each text, in the order in which the texts first appear."""
        texts, codes = self.distinct
        return dict(zip(texts, np.bincount(codes, minlength=len(texts)).tolist(), strict=True))

    def without(self, texts: Sequence[str]) -> Column:
        """The cells with an empty one in place of these texts, which stand for a missing value."""
        if not texts:
            return self
        known, codes = self.distinct
        kept = ["" if text in texts else text for text in known]
        column = Column([kept[code] for code in codes.tolist()])
        column.was_numbers = self.was_numbers
        return column

    @property
    def floats(self) -> NDArray[np.float64] | None:
        """The cells as float64 [N] with NaN for missing and infinite ones; None when one is no plain number."""
        if self._floats is None:  # no cached_property, whose lock lets only one thread parse numbers at a time
            self._floats = (self._parsed(),)
        return self._floats[0]

    def _parsed(self) -> NDArray[np.float64] | None:
        values = None if isinstance(self._raw, list) else arrow_floats(self._raw)
        if values is None:
            values = _floats_or_none(self._cells)
        return values if values is None else finite(values)


def is_number(cell: str) -> bool:
    """Whether a cell is a plain number, finite or not. Python reads 1_2 as 12; in a data file it is a name."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _python_floats(cells: list[str]) -> NDArray[np.float64] | None:
    try:
        try:
            # Most columns miss no cell: to try this first takes a third of the time of looking at each cell.
            values = list(map(float, cells))
        except ValueError:
            values = [math.nan if cell in MISSING else float(cell) for cell in cells]
    except ValueError:
        return None
    return None if "_" in "".join(cells) else np.array(values, np.float64)


def finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers with NaN in place of infinite ones."""
    is_finite = np.isfinite(values)
    return values if is_finite.all() else np.where(is_finite, values, np.nan)


def _floats_or_none(cells: Any) -> NDArray[np.float64] | None:
    """The numbers of cells of which some are missing, or written as Arrow does not read them."""
    if isinstance(cells, list):
        return _python_floats(cells)
    first = [text for text in cells[:64].to_pylist() if text not in MISSING]
    if first and not any(map(is_number, first)):
        return None  # texts: spares the attempts below
    values = arrow_floats(without_missing(cells))
    return _python_floats(cells.to_pylist()) if values is None else values


def string_array(texts: Sequence[str]) -> Any:
    """Texts as an array of Arrow. Its own way, `pyarrow.array`, imports pandas where that is installed."""
    import pyarrow

    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(b"".join(encoded))]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(encoded), buffers)


def without_missing(cells: Any) -> Any:
    """A string array of Arrow with null for missing cells."""
    import pyarrow
    from pyarrow import compute

    is_missing = compute.is_in(cells, value_set=string_array(sorted(MISSING)))
    return compute.if_else(is_missing, pyarrow.nulls(1, pyarrow.string())[0], cells)


def arrow_floats(cells: Any) -> NDArray[np.float64] | None:
    """The numbers of a string array of Arrow, NaN for null; None when a cell is no number that Arrow reads."""
    import pyarrow
    from pyarrow import compute

    try:
        return to_numpy(compute.cast(cells, pyarrow.float64()))
    except pyarrow.ArrowInvalid:
        return None


def to_numpy(values: Any) -> NDArray[np.float64]:
    """A float64 array of Arrow, or a chunked one, as an array with NaN for null. Arrow's own way imports pandas."""
    parts = [_of_chunk(chunk) for chunk in (values.chunks if hasattr(values, "chunks") else [values])]
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0), *parts])


def _of_chunk(values: Any) -> NDArray[np.float64]:
    import pyarrow
    from pyarrow import compute

    if not len(values):
        return np.zeros(0)
    numbers = np.frombuffer(values.buffers()[1], np.float64, len(values), 8 * values.offset)
    if not values.null_count:
        return numbers
    is_null = np.frombuffer(compute.cast(compute.is_null(values), pyarrow.uint8()).buffers()[1], np.bool_, len(values))
    return np.where(is_null, np.nan, numbers)


def _one_chunk(cells: Any) -> Any:
    """A chunked array of Arrow as one array."""
    import pyarrow

    combined = cells.combine_chunks() if isinstance(cells, pyarrow.ChunkedArray) else cells
    return pyarrow.concat_arrays(combined.chunks) if isinstance(combined, pyarrow.ChunkedArray) else combined
