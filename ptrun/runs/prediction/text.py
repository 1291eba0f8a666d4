"""Predictions as the text of a CSV file: few rows by Python's csv module, many by Arrow, with the same result."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats.column import string_array
from ptrun.data.inputs.source import ROW_PREFIX, RowNames
from ptrun.evaluation.prediction_table import Labels, Table, as_list

MANY_ROWS = 1024  # from here on, Arrow takes a fifth of the time, its import included
_PROBABILITY = "%.6g"  # six significant digits, as in predictions.csv of an evaluation
_LOWEST_EXPONENT = -17  # down to here, the power of ten that makes a whole number of six digits is exact
_NEAR_HALF = 1e-6  # of a unit of the last digit: so near to a half, the product says nothing about how to round


def csv_text(table: Table, short: Collection[str], *, header: bool) -> bytes:
    """A table as the text of a CSV file. Numbers of the columns `short` get six significant digits, others all."""
    num_rows = len(next(iter(table.values()), ()))
    by_arrow = num_rows >= MANY_ROWS and len(table) > 1
    text = _by_arrow(table, short) if by_arrow else _by_python(table, short)
    return _lines([table]) + text if header else text


def _by_python(table: Table, short: Collection[str]) -> bytes:
    columns = [_as_texts(as_list(cells), name in short) for name, cells in table.items()]
    if len(columns) > 1 and not any(map(_needs_quotes, columns)):  # a fifth of the time of the csv module
        rows = "\n".join(map(",".join, zip(*columns, strict=True)))
        return f"{rows}\n".encode() if rows else b""
    return _lines(zip(*columns, strict=True))


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _as_texts(cells: Sequence[Any], is_short: bool) -> list[str]:
    number_format = _PROBABILITY if is_short else "%r"
    kinds = set(map(type, cells))
    if kinds == {str}:
        return list(cells)
    if kinds == {type(None)}:
        return [""] * len(cells)
    if kinds == {float}:
        return list(map(number_format.__mod__, cells))
    return ["" if c is None else number_format % c if isinstance(c, float) else str(c) for c in cells]


def _needs_quotes(cells: Sequence[str]) -> bool:
    """Whether a text holds a sign that has a meaning in a CSV file."""
    joined = "\n".join(cells)
    return any(sign in joined for sign in ',"\r') or joined.count("\n") >= len(cells)


def _by_arrow(table: Table, short: Collection[str]) -> bytes:
    import pyarrow

    columns = [_arrow_texts(cells, name in short) for name, cells in table.items()]
    columns[-1] = _joined(columns[-1], _text("\n"))
    rows = _joined(*columns, separator=",")
    if isinstance(rows, pyarrow.ChunkedArray):
        rows = rows.combine_chunks()
    _, offsets, text = rows.buffers()
    end = np.frombuffer(offsets, np.int32)[rows.offset + len(rows)]
    return bytes(memoryview(text)[:end])


def _arrow_texts(cells: Any, is_short: bool) -> Any:
    """The texts of a column as a string array of Arrow, quoted where a CSV file needs it; one text if all are equal."""
    import pyarrow
    from pyarrow import compute

    if isinstance(cells, RowNames):
        rows = cells.rows
        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, range) else np.array(rows, np.int64)
        return _joined(_text(ROW_PREFIX), compute.cast(_array(numbers), pyarrow.string()))
    if isinstance(cells, Labels):
        return string_array(_quoted(cells.names)).take(_array(cells.codes))
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "f":
        return (_short_numbers if is_short else _numbers)(cells.astype(np.float64))
    texts = as_list(cells)
    if texts.count(None) == len(texts):
        return _text("")
    return string_array(_quoted(_as_texts(texts, is_short)))


def _quoted(texts: Sequence[str]) -> Sequence[str]:
    """Texts as the csv module writes them in a row of several cells."""
    return [_lines([[text, ""]])[:-2].decode() for text in texts] if _needs_quotes(texts) else texts


def _numbers(values: NDArray[np.float64]) -> Any:
    """Numbers as `repr` writes them. Arrow writes the same digits, but other exponents and no point in 1.0."""
    import pyarrow
    from pyarrow import compute

    texts = compute.cast(_array(values), pyarrow.string())
    size = np.abs(values)
    return _corrected(texts, values, ~((size >= 1e-4) & (size < 1e6) & (values != np.rint(values))), "%r")


def _short_numbers(values: NDArray[np.float64]) -> Any:
    """Numbers with six significant digits, as %.6g writes them: their digits are two halves, looked up in tables."""
    is_usual = (values >= 10.0**_LOWEST_EXPONENT) & (values < 1)
    safe = np.where(is_usual, values, 0.5)
    exponents = np.floor(np.log10(safe)).astype(np.int64)
    scaled = safe * _powers()[5 - exponents]  # 123456.7 for 0.1234567
    digits = np.floor(scaled + 0.5)
    is_usual &= (scaled >= 1e5) & (digits < 1e6) & (np.abs(scaled - np.floor(scaled) - 0.5) > _NEAR_HALF)
    first, second = np.divmod(np.clip(digits, 100_000, 999_999).astype(np.int64), 1000)
    has_exponent = exponents < -4
    before, firsts, seconds, after = _tables()
    parts = (
        _taken(before, np.maximum(exponents, -5) + 5),
        _taken(firsts, first + 1000 * (second == 0) + 2000 * has_exponent),
        _taken(seconds, second),
        _taken(after, np.where(has_exponent, -exponents, 0)),
    )
    return _corrected(_joined(*parts), values, ~is_usual, _PROBABILITY)


@cache
def _powers() -> NDArray[np.float64]:
    """10^0 to 10^22, which floats hold exactly."""
    return np.array([float(10**k) for k in range(6 - _LOWEST_EXPONENT)])


@cache
def _tables() -> tuple[Any, Any, Any, Any]:
    """What stands before the digits by exponent, the first three digits, the last three, and the exponent."""
    before = ["", *(f"0.{'0' * zeros}" for zeros in (3, 2, 1, 0))]
    fixed = [f"{k:03d}" for k in range(1000)]
    with_point = [f"{text[0]}.{text[1:]}" for text in fixed]
    firsts = [*fixed, *(text.rstrip("0") for text in fixed)]
    firsts += [*with_point, *(text.rstrip("0").rstrip(".") for text in with_point)]
    seconds = [text.rstrip("0") for text in fixed]
    after = ["", *(f"e-{exponent:02d}" for exponent in range(1, 1 - _LOWEST_EXPONENT))]
    return string_array(before), string_array(firsts), string_array(seconds), string_array(after)


def _taken(texts: Any, positions: NDArray[np.int64]) -> Any:
    """Texts at some positions, or the one that all of them are."""
    first = positions[0]
    return texts[int(first)] if (positions == first).all() else texts.take(_array(positions))


def _corrected(texts: Any, values: NDArray[np.float64], is_other: NDArray[np.bool_], number_format: str) -> Any:
    """Texts of numbers, with those at some positions written by Python."""
    import pyarrow
    from pyarrow import compute

    if not is_other.any():
        return texts
    others = list(map(number_format.__mod__, values[is_other].tolist()))
    mask = pyarrow.py_buffer(np.packbits(is_other, bitorder="little"))
    is_other_too = pyarrow.Array.from_buffers(pyarrow.bool_(), len(is_other), [None, mask])
    return compute.replace_with_mask(texts, is_other_too, string_array(others))


def _text(text: str) -> Any:
    """A text of Arrow; what Arrow does with those of Python imports pandas where that is installed."""
    return string_array([text])[0]


def _joined(*columns: Any, separator: str = "") -> Any:
    """The texts of several columns, row by row; one text stands for a whole column."""
    from pyarrow import compute

    return compute.binary_join_element_wise(*columns, _text(separator))


def _array(values: NDArray[Any]) -> Any:
    """Numbers of 64 bits as an array of Arrow."""
    import pyarrow

    kind = pyarrow.float64() if values.dtype == np.float64 else pyarrow.int64()
    numbers = np.ascontiguousarray(values, np.float64 if values.dtype == np.float64 else np.int64)
    return pyarrow.Array.from_buffers(kind, len(values), [None, pyarrow.py_buffer(numbers)])
