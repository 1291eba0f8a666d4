from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.partition import Parts, record, shuffled, stratified
from ptrun.errors import ConfigError, DataError

CLASSES = np.repeat([0, 1, 2], [100, 50, 3])
NAMES = ("a", "b", "c")


def cut(seed: int = 0, **changes: float) -> Parts:
    return stratified(CLASSES, NAMES, **{"val_fraction": 0.1, "test_fraction": 0.2, "split_seed": seed, **changes})  # type: ignore[arg-type]


def test_parts_are_disjoint_and_complete() -> None:
    parts = cut()
    assert sorted(np.concatenate([parts.train, parts.val, parts.test])) == list(range(len(CLASSES)))


def test_every_class_is_in_every_part_in_proportion() -> None:
    parts = cut()
    counts = [np.bincount(CLASSES[rows], minlength=3).tolist() for rows in (parts.train, parts.val, parts.test)]
    assert counts == [[70, 35, 1], [10, 5, 1], [20, 10, 1]]


def test_seed_alone_decides() -> None:
    assert np.array_equal(cut(3).train, cut(3).train)
    assert not np.array_equal(cut(3).train, cut(4).train)


def test_official_test_set_leaves_the_test_part_empty() -> None:
    parts = cut(test_fraction=0.0)
    assert len(parts.test) == 0
    assert len(parts.train) + len(parts.val) == len(CLASSES)


def test_small_class_is_named() -> None:
    with pytest.raises(DataError, match=r"'b' \(2\).*at least 3"):
        stratified(np.array([0, 0, 0, 1, 1]), ("a", "b"), val_fraction=0.1, test_fraction=0.2, split_seed=0)


def test_evaluation_may_use_every_sample_and_small_classes() -> None:
    parts = stratified(
        np.array([0, 0, 1]), ("a", "b"), val_fraction=0.1, test_fraction=1.0, split_seed=0, evaluating=True
    )
    assert parts.test.tolist() == [0, 1, 2]
    assert len(parts.train) == len(parts.val) == 0


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (0.0, 0.2), (0.1, 1.0), (-0.1, 0.2), (float("nan"), 0.2)])
def test_fractions_that_leave_nothing(val: float, test: float) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.(val|test)_fraction"):
        shuffled(100, val_fraction=val, test_fraction=test, split_seed=0)


def test_too_few_rows_for_three_parts() -> None:
    with pytest.raises(DataError, match="at least 3"):
        shuffled(2, val_fraction=0.1, test_fraction=0.2, split_seed=0)


def test_record_tells_sizes_counts_and_a_digest_of_the_rows() -> None:
    def told(seed: int) -> dict[str, object]:
        parts = cut(seed)
        return record("stratified", [("train", parts.train, CLASSES[parts.train])], NAMES, seed)

    assert told(0)["sizes"] == {"train": 106}
    assert told(0)["class_counts"] == {"a": {"train": 70}, "b": {"train": 35}, "c": {"train": 1}}
    assert told(0)["rows_digest"] == told(0)["rows_digest"] != told(1)["rows_digest"]
