"""Which validation is the best, and whether the monitored value still improves: two questions.

The best validation has the best value, however small the difference. The validation loss decides between equal values,
then the earlier step. `best.pt` names it, it is tested, and it is the first of those that checkpoint.keep_best keeps.

An improvement is a value that is better than the last improvement by more than train.min_delta. train.patience_epochs
counts the epochs since then, so that training also ends where the value can't improve, as an accuracy of 1.
"""

from __future__ import annotations

import math

from ptrun.engine.progress import Progress

Rank = tuple[float, float, int]


def rank(value: float, loss: float, step: int, *, higher_is_better: bool) -> Rank:
    """The place of a validation among others: the smallest is the best."""
    return (-value if higher_is_better else value), loss if math.isfinite(loss) else math.inf, step


def note_best(progress: Progress, value: float, loss: float, epoch: int, *, higher_is_better: bool) -> bool:
    """Make a validation the best of the run if it is. Returns whether it is; NaN and infinities never are."""
    if not math.isfinite(value):
        return False
    place = rank(value, loss, progress.step, higher_is_better=higher_is_better)
    best = progress.best_value
    if best is not None:
        best_place = rank(best, progress.best_loss, progress.best_step, higher_is_better=higher_is_better)
        if place[:2] >= best_place[:2]:
            return False
    progress.best_value, progress.best_loss = value, place[1]
    progress.best_epoch, progress.best_step = epoch, progress.step
    return True


def note_improvement(progress: Progress, value: float, epoch: int, *, min_delta: float, higher_is_better: bool) -> None:
    """Remember a value that is better than the last improvement by more than `min_delta`, and its epoch."""
    if not math.isfinite(value):
        return
    last = progress.improved_value
    gain = math.inf if last is None else (value - last if higher_is_better else last - value)
    if gain > min_delta:
        progress.improved_value, progress.improved_epoch = value, epoch


def enter_ranking(progress: Progress, value: float, loss: float, keep: int, *, higher_is_better: bool) -> bool:
    """Enter the last validation into the ranking of the best `keep`. Returns whether it is among them."""
    if not math.isfinite(value):
        return False
    entries = [*progress.ranking, [value, loss if math.isfinite(loss) else math.inf, progress.step]]
    progress.ranking = sorted(entries, key=lambda entry: rank(*entry, higher_is_better=higher_is_better))[:keep]
    return progress.step in [step for _, _, step in progress.ranking]
