"""A column gives the same texts, numbers and counts whether its cells are a list or an array of Arrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow
import pytest

from ptrun.data.formats.column import Column, is_number, to_numpy

MAKERS: dict[str, Callable[[list[str]], Column]] = {
    "list": Column,
    "arrow": lambda cells: Column(pyarrow.array(cells, pyarrow.string())),
    "chunks": lambda cells: Column(pyarrow.chunked_array([cells[:2], cells[2:]], pyarrow.string())),
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[list[str]], Column]:
    return MAKERS[request.param]


def test_cells(make: Callable[[list[str]], Column]) -> None:
    column = make(["b", "a", "b", ""])
    assert column == ["b", "a", "b", ""]
    assert (len(column), column[1], column[1:3], list(column)) == (4, "a", ["a", "b"], ["b", "a", "b", ""])
    assert column.take([3, 0]) == ["", "b"]


def test_distinct_texts_are_in_the_order_in_which_they_appear(make: Callable[[list[str]], Column]) -> None:
    column = make(["b", "a", "b", "NA"])
    texts, codes = column.distinct
    assert texts == ["b", "a", "NA"]
    assert codes.tolist() == [0, 1, 0, 2]
    assert column.counts == {"b": 2, "a": 1, "NA": 1}
    assert column.without(["b", "x"]) == ["", "a", "", "NA"]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "2.5", "-3e2"], [1, 2.5, -300]),
        (["1", "", "NA", "?", "inf"], [1, np.nan, np.nan, np.nan, np.nan]),
        (["+1", "-.5", "5."], [1, -0.5, 5]),
        (["0.1", "2.2250738585072014e-308", "123456789012345678"], [0.1, 2.2250738585072014e-308, 123456789012345678]),
        (["1_2", "3", "4"], None),
        (["1", "2", "x"], None),
        (["a", "b", "c"], None),
    ],
)
def test_numbers(make: Callable[[list[str]], Column], cells: list[str], values: Sequence[Any] | None) -> None:
    floats = make(cells).floats
    assert (floats is None) == (values is None)
    if values is not None:
        assert np.array_equal(floats, np.array(values, float), equal_nan=True)  # type: ignore[arg-type]


def test_numbers_after_many_missing_cells(make: Callable[[list[str]], Column]) -> None:
    floats = make([*[""] * 70, "1.5"]).floats
    assert floats is not None
    assert floats[-1] == 1.5


def test_numbers_of_pieces_of_arrow_arrays() -> None:
    numbers = pyarrow.array([1.0, 2, None, 4])
    assert np.array_equal(to_numpy(numbers.slice(1)), [2, np.nan, 4], equal_nan=True)
    pieces = pyarrow.chunked_array([numbers.slice(3), numbers[:0], numbers.slice(0, 2)])
    assert to_numpy(pieces).tolist() == [4, 1, 2]
    assert to_numpy(pieces.slice(0, 0)).tolist() == []


def test_what_is_a_number() -> None:
    assert [is_number(cell) for cell in ("1", "-1e5", "nan", "1_2", "1,5", "")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
