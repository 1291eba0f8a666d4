"""Divides groups of samples, such as the rows of one patient, so that none is torn and all parts are like the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptrun.data.partition import Indices, Parts, remaining_fraction
from ptrun.data.split_settings import SplitSettings, check_fractions
from ptrun.errors import DataError


def grouped(counts: NDArray[np.int64], settings: SplitSettings) -> Parts:
    """Divide groups. counts: samples of each class in each group [groups, classes]; one column without classes.

    Raises DataError for fewer groups than parts or folds.
    """
    check_fractions(settings)
    everything = np.arange(len(counts))
    order = np.random.default_rng(settings.seed).permutation(len(counts))
    if settings.folds is not None:
        _require(len(counts), max(settings.folds, 3), f"split.folds={settings.folds}")
        fold_of = _balanced(counts, order, [1 / settings.folds] * settings.folds)
        rest = order[fold_of[order] != settings.fold]
        fraction = remaining_fraction(settings)
        part_of = np.full(len(counts), 2)
        part_of[rest] = _balanced(counts, rest, [1 - fraction, fraction])[rest]
    else:
        test, val = settings.test_fraction, min(settings.val_fraction, 1 - settings.test_fraction)
        shares = [1 - val - test, val, test]
        if not settings.evaluating:
            _require(len(counts), sum(share > 0 for share in shares), "the parts")
        part_of = _balanced(counts, order, shares)
    train, val, test = (everything[part_of == part] for part in range(3))
    return Parts(train, val, test)


def _require(count: int, required: int, what: str) -> None:
    if count < required:
        raise DataError(
            f"There are {count} groups; at least {required} are needed for {what}. Each group stays in one part. "
            "Choose another split.group, or fewer parts."
        )


def _balanced(counts: NDArray[np.int64], order: Indices, shares: Sequence[float]) -> Indices:
    """The part of each group in `order`, such that each part has its share of every class.

    Large groups are placed first, each where its classes are furthest below their share; the last groups go to parts
    that are empty. Groups of equal size are taken in the given order.
    """
    sizes = counts.sum(axis=1)
    order = order[np.argsort(-sizes[order], kind="stable")]
    open_parts = [part for part, share in enumerate(shares) if share > 0]
    totals = np.maximum(counts[order].sum(axis=0), 1)
    wanted = np.array([shares[part] for part in open_parts])[:, None] * totals  # [parts, classes]
    filled = np.zeros_like(wanted)
    part_of = np.full(len(counts), open_parts[0])
    for position, group in enumerate(order.tolist()):
        empty = np.flatnonzero(filled.sum(axis=1) == 0)
        after = (filled + counts[group]) / wanted
        cost = (after * (counts[group] > 0)).max(axis=1)
        must_fill = len(empty) >= len(order) - position
        chosen = int(empty[np.argmin(cost[empty])] if must_fill and len(empty) else np.argmin(cost))
        filled[chosen] += counts[group]
        part_of[group] = open_parts[chosen]
    return part_of
