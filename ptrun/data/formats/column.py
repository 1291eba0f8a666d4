"""One column of a file: its cells as text, the distinct texts among them, and the numbers that they are.

The cells are a list, or an array of Arrow, which takes a tenth of the memory of Python's texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset({"", "?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None"})


class Column(Sequence[str]):
    """Cells without surrounding spaces. `raw` is a list of such texts, or a string array of Arrow with any spaces."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._floats: tuple[NDArray[np.float64] | None] | None = None

    def __len__(self) -> int:
        return len(self._raw)

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
        if isinstance(self._cells, list):
            return Column([self._cells[i] for i in positions])
        return Column(self._cells.take(np.asarray(positions, np.int64)))

    @cached_property
    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """The distinct texts in the order in which they first appear, and the position of each cell's text [N]."""
        if isinstance(self._cells, list):
            positions: dict[str, int] = {}
            codes = [positions.setdefault(cell, len(positions)) for cell in self._cells]
            return list(positions), np.array(codes, np.int64)
        encoded = _one_chunk(self._cells).dictionary_encode()
        return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)

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
        return Column([kept[code] for code in codes.tolist()])

    @property
    def floats(self) -> NDArray[np.float64] | None:
        """The cells as float64 [N] with NaN for missing and infinite ones; None when one is no plain number."""
        if self._floats is None:  # no cached_property, whose lock lets only one thread parse numbers at a time
            self._floats = (self._parsed(),)
        return self._floats[0]

    def _parsed(self) -> NDArray[np.float64] | None:
        values = None if isinstance(self._raw, list) else _arrow_floats(self._raw)
        if values is None:
            values = _floats_or_none(self._cells)
        if values is None or (is_finite := np.isfinite(values)).all():
            return values
        return np.where(is_finite, values, np.nan)


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


def _floats_or_none(cells: Any) -> NDArray[np.float64] | None:
    """The numbers of cells of which some are missing, or written as Arrow does not read them."""
    if isinstance(cells, list):
        return _python_floats(cells)
    import pyarrow
    from pyarrow import compute

    if all(not is_number(text) for text in cells[:64].to_pylist() if text not in MISSING):
        return None  # texts: spares the attempts below
    is_missing = compute.is_in(cells, value_set=pyarrow.array(sorted(MISSING)))
    present = compute.if_else(is_missing, pyarrow.scalar(None, pyarrow.string()), cells)
    values = _arrow_floats(present)
    return _python_floats(cells.to_pylist()) if values is None else values


def _arrow_floats(cells: Any) -> NDArray[np.float64] | None:
    import pyarrow
    from pyarrow import compute

    try:
        return _to_numpy(compute.cast(cells, pyarrow.float64()))
    except pyarrow.ArrowInvalid:
        return None


def _to_numpy(values: Any) -> NDArray[np.float64]:
    """An array of Arrow, or a chunked one, as an array with NaN for null."""
    array: NDArray[np.float64] = values.to_numpy(**({} if hasattr(values, "chunks") else {"zero_copy_only": False}))
    return array


def _one_chunk(cells: Any) -> Any:
    """A chunked array of Arrow as one array."""
    import pyarrow

    combined = cells.combine_chunks() if isinstance(cells, pyarrow.ChunkedArray) else cells
    return pyarrow.concat_arrays(combined.chunks) if isinstance(combined, pyarrow.ChunkedArray) else combined
