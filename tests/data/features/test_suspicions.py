"""Columns that tell the target and numbers that mean "missing" are told; others are not."""

from __future__ import annotations

import numpy as np

from ptrun.data.features.columns import fit_columns
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.suspicions import suspicions
from ptrun.data.formats.csv_file import CsvFile

RNG = np.random.default_rng(0)
COUNT = 3000
TRAIN = np.arange(COUNT)
GOAL = RNG.normal(size=COUNT)
CLASSES = (GOAL > 0).astype(np.int64)


def found(column: list[str], goal: np.ndarray) -> list[str]:  # type: ignore[type-arg]
    file = CsvFile("a.csv", {"x": column}, range(COUNT))
    encodings, _ = fit_columns(file, ["x"], TRAIN, ColumnSettings())
    return suspicions(file, encodings, TRAIN, "y", goal)


def texts(values: object) -> list[str]:
    return [str(value) for value in np.asarray(values).tolist()]


def test_a_column_that_tells_the_target() -> None:
    sentence = (
        "The column 'x' alone tells 'y' in the training rows. If it is not known before 'y' is, leave it out: "
        "dataset.ignore=[x]."
    )
    assert found(texts(3 * GOAL + 1), GOAL) == [sentence]
    assert found(texts(GOAL), CLASSES) == [sentence]
    assert found(["no" if value else "yes" for value in CLASSES], CLASSES) == [sentence]


def test_a_good_column_is_no_leak() -> None:
    noisy = GOAL + 0.1 * RNG.normal(size=COUNT)
    assert found(texts(noisy), GOAL) == []
    assert found(texts(noisy), CLASSES) == []
    late = CLASSES.copy()
    late[-1] = 1 - late[-1]  # a single row far from the beginning
    assert found(["no" if value else "yes" for value in late], CLASSES) == []


def test_a_number_that_stands_for_missing_ones() -> None:
    values = np.round(np.abs(GOAL), 3)
    values[::7] = -200
    (note,) = found(texts(values), CLASSES)
    assert note.startswith("-200 lies far from the other values")
    assert "x (429; the others: 0 to" in note
    assert note.endswith("set dataset.missing_values=[-200].")
    values[::7] = 9999
    assert "[9999]" in found(texts(values), CLASSES)[0]


def test_a_last_row_that_sums_up_the_others() -> None:
    shops = [f"shop {i % 7}" for i in range(COUNT)]
    sentence = (
        f"The last row (row {COUNT - 1}) has 'Total:' in the column 'x', and is taken as a sample. If it sums up the "
        "others, delete it."
    )
    assert found([*shops[:-1], "Total:"], GOAL) == [sentence]
    assert found(["Total:", *shops[1:-1], "Total:"], GOAL) == []  # a category
    assert found(["Total:", *shops[1:]], GOAL) == []


def test_an_id_that_is_taken_as_a_number() -> None:
    file = CsvFile("a.csv", {"shop_id": [str(i % 7 * 10) for i in range(COUNT)]}, range(COUNT))
    encodings, _ = fit_columns(file, ["shop_id"], TRAIN, ColumnSettings())
    (note,) = suspicions(file, encodings, TRAIN, "y", GOAL)
    assert "its 7 different values are taken as numbers" in note
    assert "dataset.categorical=[shop_id]" in note


def test_zeros_and_lone_extremes_are_values() -> None:
    values = np.round(np.abs(GOAL), 3)
    values[::7] = 0
    assert found(texts(values), CLASSES) == []
    values[5] = 9999
    assert found(texts(values), CLASSES) == []
