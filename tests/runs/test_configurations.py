"""Runs that differ in their seed alone are summed up; configurations are ranked by the mean."""

from __future__ import annotations

import statistics

import pytest
from scipy import stats
from support import job_row as row

from ptrun.runs.configurations import confidence_interval, configurations, ranked

ROWS = [
    row("optimizer.lr=0.1 seed=0", 0.9),
    row("optimizer.lr=0.2 seed=0", 0.6),
    row("optimizer.lr=0.1 seed=1", 0.5),
    row("optimizer.lr=0.2 seed=1", 0.8),
    row("optimizer.lr=0.1 seed=2", None),
    row("optimizer.lr=0.3 seed=0", None),
]


def test_configurations_are_ranked_by_the_mean_over_seeds():
    first, second, last = configurations(ROWS)
    assert (first.settings, second.settings, last.settings) == tuple(f"optimizer.lr=0.{n}" for n in (1, 2, 3))
    assert (first.mean, second.mean) == (pytest.approx(0.7), pytest.approx(0.7))
    assert first.std == pytest.approx(0.2 * 2**0.5)
    assert (len(first.values), first.planned) == (2, 3)
    assert first.tests == {"accuracy": [0.45, 0.25]}
    assert (last.values, last.std) == ([], None)
    lower = [{**entry, "higher_is_better": False} for entry in (row("a=1 seed=0", 3.0), row("a=2 seed=1", 2.0))]
    assert [place.settings for place in configurations(lower)] == ["a=2", "a=1"]


def test_without_several_seeds_there_is_nothing_to_sum_up():
    assert configurations([row("a=1 seed=0", 1.0), row("a=2 seed=0", 2.0)]) == []
    assert [place.settings for place in configurations([row("seed=0", 1.0), row("seed=1", 2.0)])] == ["(as given)"]


def test_the_confidence_interval_is_that_of_scipy():
    values = (0.5, 0.9, 0.7, 0.72)
    expected = stats.t.interval(0.95, 3, loc=statistics.fmean(values), scale=stats.sem(values))
    assert confidence_interval(values) == pytest.approx(expected, abs=1e-12)
    assert confidence_interval((0.5,)) is None
    assert configurations(ROWS)[1].interval == pytest.approx((0.7 - 12.7062 * 0.1, 0.7 + 12.7062 * 0.1), abs=1e-4)


def test_every_run_belongs_to_a_configuration():
    places = ranked([{**entry, "job": str(number)} for number, entry in enumerate(ROWS)])
    assert [place.jobs for place in places] == [["0", "2"], ["3", "1"], []]
    assert [place.settings for place in ranked([row("a=1 seed=0", 1.0), row("a=2 seed=0", 2.0)])] == ["a=2", "a=1"]


def test_a_configuration_with_a_pruned_run_is_no_winner():
    rows = [row("a=1 seed=0", 0.9), row("a=1 seed=1", 0.1, state="pruned"), row("a=2 seed=0", 0.5)]
    assert [(place.settings, place.num_pruned) for place in ranked(rows)] == [("a=2", 0), ("a=1", 1)]
