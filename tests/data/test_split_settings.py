"""Fractions that leave nothing to train on are refused."""

from __future__ import annotations

import pytest

from ptrun.data.split_settings import SplitSettings, check_fractions
from ptrun.errors import ConfigError


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (0.0, 0.2), (0.1, 1.0), (-0.1, 0.2), (float("nan"), 0.2)])
def test_fractions_that_leave_nothing_are_refused(val: float, test: float) -> None:
    with pytest.raises(ConfigError, match=r"split\.(val|test)_fraction"):
        check_fractions(SplitSettings(val_fraction=val, test_fraction=test))


def test_a_fold_is_a_part_too() -> None:
    check_fractions(SplitSettings(val_fraction=0.4, test_fraction=0.9, folds=2))
    with pytest.raises(ConfigError, match=r"split\.folds=2 \(0\.5\)"):
        check_fractions(SplitSettings(val_fraction=0.5, folds=2))


def test_an_evaluation_may_take_all_samples() -> None:
    check_fractions(SplitSettings(test_fraction=1.0, evaluating=True))
