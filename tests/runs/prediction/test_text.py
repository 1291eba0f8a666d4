"""The text that Arrow makes of many rows is, byte for byte, the one of Python's csv module and number formats."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest

from ptrun.data.inputs.source import RowNames
from ptrun.evaluation.prediction_table import Labels, Table, as_list
from ptrun.runs.prediction.text import MANY_ROWS, csv_text

COUNT = 4 * MANY_ROWS
RNG = np.random.default_rng(0)
PROBABILITIES = {
    "even": RNG.random(COUNT),
    "tiny": 10 ** RNG.uniform(-25, 0, COUNT),
    "near one": 1 - 10 ** RNG.uniform(-18, -1, COUNT),
    "ties": (RNG.integers(100_000, 1_000_000, COUNT) + 0.5) / 10.0 ** RNG.integers(6, 15, COUNT),
    "short": RNG.integers(0, 1001, COUNT) / 1000,
    "powers": 10.0 ** RNG.integers(-30, 3, COUNT),
    "beside powers": np.nextafter(10.0 ** RNG.integers(-20, 1, COUNT), RNG.integers(0, 2, COUNT)),
    "of float32": RNG.random(COUNT, np.float32).astype(np.float64),
    "float32": RNG.random(COUNT, np.float32),
    "odd": np.resize([0.0, 1.0, np.nan, np.inf, -np.inf, -0.5, 5e-324, 0.1, 1e-4, 9.999995e-5, 0.9999995], COUNT),
}
NUMBERS = {
    "usual": RNG.normal(size=COUNT),
    "sizes": RNG.normal(size=COUNT) * 10 ** RNG.uniform(-12, 20, COUNT),
    "whole": np.rint(RNG.normal(size=COUNT) * 1e4),
    "float32": RNG.normal(size=COUNT).astype(np.float32),
    "odd": np.resize([0.0, 1.0, np.nan, np.inf, -np.inf, 1e-4, 1e-5, 1e6, 999999.5, 1e16, 5e-324], COUNT),
}


def expected(table: Table, short: set[str]) -> bytes:
    """The rule of the file: None is empty, numbers by % formats, everything by the csv module."""

    def text(name: str, cell: Any) -> str:
        if cell is None:
            return ""
        return (("%.6g" if name in short else "%r") % cell) if isinstance(cell, float) else str(cell)

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table)
    columns = [[text(name, cell) for cell in as_list(cells)] for name, cells in table.items()]
    writer.writerows(zip(*columns, strict=True))
    return file.getvalue().encode()


@pytest.mark.parametrize("name", PROBABILITIES)
def test_six_significant_digits(name: str):
    table = {"input": RowNames(range(2, COUNT + 2)), "p": PROBABILITIES[name], "problem": [None] * COUNT}
    assert csv_text(table, {"p"}, header=True) == expected(table, {"p"})


@pytest.mark.parametrize("name", NUMBERS)
def test_all_digits(name: str):
    table = {"input": RowNames(list(range(COUNT))), "value": NUMBERS[name]}
    assert csv_text(table, (), header=True) == expected(table, set())


@pytest.mark.parametrize("count", [0, 1, 5, COUNT])
def test_texts_are_quoted_where_a_csv_file_needs_it(count: int):
    odd = ["plain", "a,b", 'say "hi"', "two\nlines", "a return\r", "", " é "]
    table: Table = {
        "path, or row": [odd[i % 7] for i in range(count)],
        "label": Labels(odd[:4], np.arange(count) % 4),
        "kept": [None if i % 3 else "x" for i in range(count)],
        "mixed": [None if i % 3 else i / 7 for i in range(count)],
        "steps": list(range(count)),
        "problem": [None if i % 5 else f"row {i}: it is bad, really" for i in range(count)],
    }
    assert csv_text(table, {"mixed"}, header=True) == expected(table, {"mixed"})
    assert csv_text(table, (), header=False) == expected(table, set()).partition(b"problem\n")[2]


def test_a_single_column():
    table = {"label": ["", "a"] * COUNT}
    assert csv_text(table, (), header=True) == expected(table, set())
