"""Groups stay whole, parts have their shares of every class, and too few groups are refused."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.group_partition import grouped
from ptrun.data.split_settings import SplitSettings
from ptrun.errors import DataError

ONE_CLASS = np.full((20, 1), 5)


def sizes(counts: np.ndarray, settings: SplitSettings) -> list[list[int]]:
    parts = grouped(counts, settings)
    assert sorted(np.concatenate([parts.train, parts.val, parts.test])) == list(range(len(counts)))
    return [counts[rows].sum(axis=0).tolist() for rows in (parts.train, parts.val, parts.test)]


def test_equal_groups_have_the_wanted_shares() -> None:
    assert sizes(ONE_CLASS, SplitSettings()) == [[70], [10], [20]]
    assert sizes(ONE_CLASS, SplitSettings(test_fraction=0.0)) == [[90], [10], [0]]
    assert not np.array_equal(grouped(ONE_CLASS, SplitSettings()).test, grouped(ONE_CLASS, SplitSettings(seed=1)).test)


def test_classes_that_groups_decide_are_in_every_part() -> None:
    counts = np.zeros((40, 2), np.int64)
    counts[:10, 0], counts[10:, 1] = 6, 2
    assert sizes(counts, SplitSettings()) == [[42, 42], [6, 6], [12, 12]]


@pytest.mark.parametrize("count", [3, 4, 7])
def test_no_part_is_empty(count: int) -> None:
    assert all(total[0] > 0 for total in sizes(np.arange(1, count + 1)[:, None], SplitSettings()))


def test_each_group_is_tested_in_one_fold() -> None:
    tested = [grouped(ONE_CLASS, SplitSettings(folds=4, fold=fold)) for fold in range(4)]
    assert sorted(np.concatenate([parts.test for parts in tested])) == list(range(20))
    assert [len(parts.test) for parts in tested] == [5] * 4
    assert all(len(parts.val) == 2 for parts in tested)


@pytest.mark.parametrize(("count", "settings"), [(2, SplitSettings()), (4, SplitSettings(folds=5))])
def test_too_few_groups_are_refused(count: int, settings: SplitSettings) -> None:
    with pytest.raises(DataError, match=f"There are {count} groups; at least"):
        grouped(np.ones((count, 1), np.int64), settings)


def test_an_evaluation_may_take_all_groups() -> None:
    parts = grouped(np.ones((2, 1), np.int64), SplitSettings(test_fraction=1.0, evaluating=True))
    assert parts.test.tolist() == [0, 1]
