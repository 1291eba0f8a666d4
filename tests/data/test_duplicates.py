"""Equal samples have equal keys, whatever they are, and what is said of them names the first."""

from __future__ import annotations

import numpy as np

from ptrun.data.duplicates import (
    Identified,
    joined,
    keys_of_arrays,
    keys_of_columns,
    notes_on_duplicates,
    notes_on_shared,
    units_of,
)


def test_rows_are_equal_when_all_columns_are() -> None:
    numbers = np.array([1.0, 1.0, np.nan, np.nan, 0.0, -0.0])
    texts = (["a", "b"], np.array([0, 0, 1, 1, 0, 1]))
    keys = keys_of_columns([numbers, texts], 6).tolist()
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert len(set(keys)) == 4
    swapped = keys_of_columns([texts, numbers], 6).tolist()
    assert swapped[0] != keys[0]


def test_round_numbers_do_not_collide() -> None:
    """Doubles of small integers differ in a few high bits alone, which a weak hash would lose."""
    grid = np.stack(np.meshgrid(np.arange(300.0), np.arange(300.0)), -1).reshape(-1, 2)
    assert len(np.unique(keys_of_columns(list(grid.T), len(grid)))) == len(grid)


def test_arrays_of_any_shape() -> None:
    images = np.arange(48).reshape(4, 3, 4)
    images[2] = images[0]
    unit_of, first = units_of(keys_of_arrays(images))
    assert unit_of.tolist() == [0, 1, 0, 2]
    assert first.tolist() == [0, 1, 3]


def test_units_and_groups_are_joined() -> None:
    """Sample 0 equals sample 1, which is in a group with sample 2; sample 3 is alone."""
    assert joined(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist() == [0, 0, 0, 1]


def test_notes_name_the_first_places_and_other_targets() -> None:
    samples = Identified(np.array([5, 6, 5, 5], np.uint64), "row {}".format, np.array([0, 1, 0, 1]))
    notes = notes_on_duplicates(samples, "rows", "are the same as", together=True)
    assert notes[0].startswith(
        "Rows that are the same as an earlier one: 2 (row 2 and row 0, row 3 and row 0). They stay in one"
    )
    assert notes[1].startswith("Rows that are the same as an earlier one, but another target: 1 (row 3 and row 0).")
    assert notes_on_duplicates(Identified(np.array([1, 2]), str), "rows", "are", together=True) == []


def test_samples_of_given_parts_that_are_shared() -> None:
    train = Identified(np.array([1, 2], np.uint64), "a{}".format, np.array([0, 0]))
    test = Identified(np.array([2, 9, 1], np.uint64), "b{}".format, np.array([0, 0, 1]))
    notes = notes_on_shared({"train": train, "test": test}, "images")
    assert "2 images of test stand in train too" in notes[0]
    assert "b0 and a1, b2 and a0" in notes[0]
    assert notes[1].startswith("1 images of test stand in train with another target: b2 and a0.")
