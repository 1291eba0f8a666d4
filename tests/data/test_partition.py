"""Parts are disjoint, hold every class in proportion, and depend on the seed alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptrun.data.partition import Parts, record, shuffled, stratified
from ptrun.data.split_settings import SplitSettings
from ptrun.errors import DataError

CLASSES = np.repeat([0, 1, 2], [100, 50, 3])
NAMES = ("a", "b", "c")
SETTINGS = SplitSettings()


def divide(seed: int = 0, test_fraction: float = 0.2) -> Parts:
    return stratified(CLASSES, NAMES, SplitSettings(test_fraction=test_fraction, seed=seed))


def test_parts_are_disjoint_and_complete() -> None:
    for parts in (divide(), shuffled(len(CLASSES), SETTINGS)):
        assert sorted(np.concatenate([parts.train, parts.val, parts.test])) == list(range(len(CLASSES)))
        assert all((np.diff(rows) > 0).all() for rows in (parts.train, parts.val, parts.test))


def test_every_class_is_in_every_part_in_proportion() -> None:
    parts = divide()
    counts = [np.bincount(CLASSES[rows], minlength=3).tolist() for rows in (parts.train, parts.val, parts.test)]
    assert counts == [[70, 35, 1], [10, 5, 1], [20, 10, 1]]


def test_only_the_seed_changes_the_parts() -> None:
    assert np.array_equal(divide(3).train, divide(3).train)
    assert not np.array_equal(divide(3).train, divide(4).train)


def test_an_official_test_set_leaves_the_test_part_empty() -> None:
    parts = divide(test_fraction=0.0)
    assert len(parts.test) == 0
    assert len(parts.train) + len(parts.val) == len(CLASSES)


def test_a_small_class_is_named() -> None:
    with pytest.raises(DataError, match=r"'b' \(2\).*at least 3"):
        stratified(np.array([0, 0, 0, 1, 1]), ("a", "b"), SETTINGS)


def test_an_evaluation_may_use_every_sample_and_small_classes() -> None:
    settings = SplitSettings(test_fraction=1.0, evaluating=True)
    parts = stratified(np.array([0, 0, 1]), ("a", "b"), settings)
    assert parts.test.tolist() == [0, 1, 2]
    assert len(parts.train) == len(parts.val) == 0
    assert shuffled(2, settings).test.tolist() == [0, 1]


def test_too_few_rows_for_three_parts() -> None:
    with pytest.raises(DataError, match="at least 3"):
        shuffled(2, SETTINGS)


def test_the_record_holds_sizes_counts_and_a_digest_of_the_rows() -> None:
    def describe(seed: int) -> dict[str, object]:
        parts = divide(seed)
        return record(parts, [("train", parts.train, CLASSES[parts.train])], NAMES, replace(SETTINGS, seed=seed))

    assert describe(0)["sizes"] == {"train": 106}
    assert describe(0)["class_counts"] == {"a": {"train": 70}, "b": {"train": 35}, "c": {"train": 1}}
    assert describe(0)["rows_digest"] == describe(0)["rows_digest"] != describe(1)["rows_digest"]
