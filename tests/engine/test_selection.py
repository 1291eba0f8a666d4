"""The best validation has the best value; an improvement is better by more than min_delta."""

from __future__ import annotations

import math

import pytest

from ptrun.engine.progress import Progress
from ptrun.engine.selection import enter_ranking, note_best, note_improvement


def best_of(validations: list[tuple[float, float]], *, higher_is_better: bool) -> Progress:
    progress = Progress()
    for epoch, (value, loss) in enumerate(validations, start=1):
        progress.step = 10 * epoch
        note_best(progress, value, loss, epoch, higher_is_better=higher_is_better)
        enter_ranking(progress, value, loss, 2, higher_is_better=higher_is_better)
    return progress


@pytest.mark.parametrize(
    ("validations", "higher", "epoch"),
    [
        ([(0.5, 1.0), (0.9, 2.0), (0.8, 0.1)], True, 2),
        ([(0.5, 1.0), (0.9, 2.0), (0.8, 0.1)], False, 1),
        ([(0.9, 1.0), (0.9, 0.5), (0.9, 0.5)], True, 2),  # the loss decides, then the earlier one
        ([(math.nan, 1.0), (0.1, 5.0), (math.inf, 0.0)], True, 2),
        ([(0.9, math.nan), (0.9, 3.0)], True, 2),
        ([(math.nan, 1.0)], True, 0),
    ],
)
def test_the_best_is_the_first_of_the_ranking(validations: list[tuple[float, float]], higher: bool, epoch: int):
    progress = best_of(validations, higher_is_better=higher)
    assert progress.best_epoch == epoch
    assert progress.best_step == 10 * epoch
    assert [entry[2] for entry in progress.ranking[:1]] == ([10 * epoch] if epoch else [])


def test_an_improvement_is_larger_than_min_delta():
    progress = Progress()
    seen = []
    for epoch, value in enumerate([10.0, 9.5, 9.0, 8.9, math.nan, 7.9], start=1):
        note_improvement(progress, value, epoch, min_delta=1.0, higher_is_better=False)
        seen.append(progress.improved_epoch)
    assert seen == [1, 1, 1, 4, 4, 4]


def test_an_equal_value_is_no_improvement():
    progress = Progress()
    for epoch in (1, 2):
        note_improvement(progress, 1.0, epoch, min_delta=0.0, higher_is_better=True)
    assert progress.improved_epoch == 1
