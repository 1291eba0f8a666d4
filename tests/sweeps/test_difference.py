"""Differences of means: paired where the seeds are the same, and as scipy computes them."""

from __future__ import annotations

import pytest
from scipy import stats

from ptrun.sweeps.difference import difference, paired, welch

FIRST = (0.9, 0.92, 0.97, 0.91)


@pytest.mark.parametrize("second", [(0.5, 0.7, 0.65), (0.9, 0.1), (0.91, 0.93, 0.92, 0.95)])
def test_of_two_groups(second: tuple[float, ...]):
    found, expected = welch(FIRST, second), stats.ttest_ind(FIRST, second, equal_var=False)
    assert found.probability == pytest.approx(expected.pvalue, abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_of_pairs():
    second = (0.8, 0.83, 0.86, 0.83)
    found, expected = paired([a - b for a, b in zip(FIRST, second, strict=True)]), stats.ttest_rel(FIRST, second)
    assert found.probability == pytest.approx(expected.pvalue, abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.is_significant


def test_without_spread():
    assert welch((1.0, 1.0), (1.0, 1.0)).probability == 1.0
    found = welch((1.0, 1.0), (2.0, 2.0))
    assert (found.mean, found.low, found.high, found.is_significant) == (-1.0, -1.0, -1.0, True)
    assert not paired([0.0, 0.0]).is_significant


def test_equal_seeds_are_pairs():
    first, second = {"seed=0": 0.9, "seed=1": 0.5}, {"seed=1": 0.4, "seed=0": 0.8}
    found = difference(first, second)
    assert found is not None
    assert (found.mean, found.basis) == (pytest.approx(0.1), "2 pairs of runs, paired t-test")
    assert found.is_significant  # although the seeds differ by more
    other = difference(first, {"seed=0": 0.8, "seed=2": 0.4})
    assert other is not None
    assert (other.basis, other.is_significant) == ("2 and 2 runs, Welch's t-test", False)
    assert difference(first, {"seed=0": 0.8}) is None
