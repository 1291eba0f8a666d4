"""The difference of two means over a few runs: a confidence interval, and the probability of it by chance."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ptrun.runs.configurations import CONFIDENCE, half_width


@dataclass(frozen=True)
class Difference:
    """Mean of the first runs minus that of the second, and the ends of its confidence interval.

    probability: of such a difference by chance, two-sided. basis: how many runs, and the test.
    """

    mean: float
    low: float
    high: float
    probability: float
    basis: str

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.probability < 1 - CONFIDENCE


def difference(first: Mapping[str, float], second: Mapping[str, float]) -> Difference | None:
    """Compare two configurations, seed (or fold) → value. None when one of them has fewer than two runs.

    Runs of equal seeds are paired, if all have a partner: they may share data and the order of samples.
    """
    if min(len(first), len(second)) < 2:
        return None
    if first.keys() == second.keys():
        return paired([first[seed] - second[seed] for seed in first])
    return welch(list(first.values()), list(second.values()))


def paired(differences: Sequence[float]) -> Difference:
    """Student's t-test of at least two differences. "Student", The probable error of a mean, 1908."""
    count = len(differences)
    error = statistics.stdev(differences) / math.sqrt(count)
    return _difference(statistics.fmean(differences), error, count - 1, f"{count} pairs of runs, paired t-test")


def welch(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Welch's t-test of two groups of at least two values.

    B. L. Welch, The generalization of Student's problem when several different population variances are involved, 1947.
    """
    parts = [statistics.variance(values) / len(values) for values in (first, second)]
    mean = statistics.fmean(first) - statistics.fmean(second)
    squares = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True))
    degrees = sum(parts) ** 2 / squares if squares else 1.0
    basis = f"{len(first)} and {len(second)} runs, Welch's t-test"
    return _difference(mean, math.sqrt(sum(parts)), degrees, basis)


def _difference(mean: float, error: float, degrees: float, basis: str) -> Difference:
    if error == 0:
        return Difference(mean, mean, mean, 0.0 if mean else 1.0, basis)
    from scipy.special import stdtr

    half = half_width(error, degrees)
    return Difference(mean, mean - half, mean + half, float(2 * stdtr(degrees, -abs(mean) / error)), basis)
