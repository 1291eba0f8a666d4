"""Divides samples at random into train, val and test, or into folds, and records how.

What is divided are units: single samples, or identical samples that stay together, which weigh as many as they are.
The parts depend only on the units, their classes and the settings. They are disjoint and in ascending order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.split_settings import SplitSettings, check_fractions
from ptrun.errors import DataError, join_words

Indices = NDArray[np.int64]
MAX_RARE_SHARE = 0.02  # largest share of the samples in classes that are too small to divide


@dataclass(frozen=True)
class Parts:
    """Positions of the samples of each part, each int64 [N].

    notes: what is out of the ordinary. method: how they were divided, in a word. how: the same in a few words.
    """

    train: Indices
    val: Indices
    test: Indices
    notes: tuple[str, ...] = ()
    method: str = ""
    how: str = ""

    def of(self, unit_of: Indices) -> Parts:
        """The samples of these units. unit_of: the unit of each sample."""
        part = np.zeros(int(unit_of.max(initial=-1)) + 1, np.int8)
        part[self.val], part[self.test] = 1, 2
        of_sample = part[unit_of]
        train, val, test = (np.flatnonzero(of_sample == number) for number in range(3))
        return replace(self, train=train, val=val, test=test)


def stratified(
    classes: NDArray[np.int64], names: Sequence[str], settings: SplitSettings, weights: Indices | None = None
) -> Parts:
    """Divide samples so that every class is in every part. The fractions are rounded for each class; `classes` is [N].

    weights: samples that each stands for. A class with fewer samples than parts is in training only, if such classes
    hold few of the samples. Raises DataError when they hold many.
    """
    check_fractions(settings)
    counts = np.bincount(classes, minlength=len(names))
    if settings.folds is not None and not settings.evaluating:
        return _stratified_fold(classes, names, settings, weights, counts)
    required = 2 if settings.test_fraction == 0 else 3
    rare = set() if settings.evaluating else set(np.flatnonzero(counts < required).tolist())
    texts = _with_counts(names, counts, sorted(rare))
    if rare and not _may_stay_undivided(counts, counts < required):
        raise DataError(
            f"Too few samples of {texts}: each class needs at least {required}, one for each part. "
            "Add samples or leave the class out."
        )
    generator = np.random.default_rng(settings.seed)
    by_class = [generator.permutation(np.flatnonzero(classes == c)) for c in range(len(names))]
    pieces = [
        _undivided(indices) if c in rare else _divide(indices, settings, weights) for c, indices in enumerate(by_class)
    ]
    note = f"Too few samples to divide, all in training: {texts}. Neither validation nor test can judge them."
    return replace(_merge(pieces), notes=(note,) if rare else ())


def shuffled(count: int, settings: SplitSettings, weights: Indices | None = None) -> Parts:
    """Divide `count` samples at random; weights: samples that each stands for.

    Raises DataError for fewer samples than parts.
    """
    check_fractions(settings)
    if count < 3 and not settings.evaluating:
        raise DataError(f"There are {count} samples; at least 3 are needed, one for each of train, val and test.")
    order = np.random.default_rng(settings.seed).permutation(count)
    if settings.folds is not None:
        _require_for_folds(count, settings.folds, "samples")
        return _merge([_fold_pieces(order, deal([order], weights, settings.folds), settings, weights)])
    return _merge([_divide(order, settings, weights)])


def deal(by_class: Sequence[Indices], weights: Indices | None, folds: int) -> Indices:
    """The fold of each unit: each goes to the fold that has least of its class, and of those to the smallest fold."""
    fold_of = np.zeros(sum(map(len, by_class)), np.int64)
    sizes = [0] * folds
    for indices in by_class:
        of_class = [0] * folds
        for unit in indices.tolist():
            fold = min(range(folds), key=lambda k: (of_class[k], sizes[k]))
            weight = 1 if weights is None else int(weights[unit])
            fold_of[unit] = fold
            of_class[fold] += weight
            sizes[fold] += weight
    return fold_of


def remaining_fraction(settings: SplitSettings) -> float:
    """split.val_fraction, which is one of all samples, as a fraction of those that are not in the fold."""
    assert settings.folds is not None
    return settings.val_fraction * settings.folds / (settings.folds - 1)


def _stratified_fold(
    classes: NDArray[np.int64],
    names: Sequence[str],
    settings: SplitSettings,
    weights: Indices | None,
    counts: Indices,
) -> Parts:
    """Train, val and test of one fold, with the classes in equal shares in all folds."""
    assert settings.folds is not None
    _require_for_folds(len(classes), settings.folds, "samples")
    if (counts < 2).any() and not _may_stay_undivided(counts, counts < 2):
        raise DataError(
            f"Too few samples of {_with_counts(names, counts, np.flatnonzero(counts < 2).tolist())}: each class needs "
            "at least 2, one to train and one to test. Add samples or leave the class out."
        )
    generator = np.random.default_rng(settings.seed)
    by_class = [generator.permutation(np.flatnonzero(classes == c)) for c in range(len(names))]
    fold_of = deal(by_class, weights, settings.folds)
    pieces = [
        _undivided(order) if len(order) < 2 else _fold_pieces(order, fold_of, settings, weights) for order in by_class
    ]
    few = np.flatnonzero((counts < settings.folds) & (counts > 0)).tolist()
    note = (
        f"Fewer samples than the {settings.folds} folds, so that some folds can't test them: "
        f"{_with_counts(names, counts, few)}. A class with one sample is always in training."
    )
    return replace(_merge(pieces), notes=(note,) if few else ())


def _require_for_folds(count: int, folds: int, noun: str) -> None:
    """Raise DataError when there are too few samples or groups for so many folds."""
    required = max(folds, 3)
    if count < required:
        raise DataError(
            f"split.folds is {folds}, but there are {count} {noun}; at least {required} are needed, one for each fold "
            "and one for each part. Set split.folds lower."
        )


def _with_counts(names: Sequence[str], counts: Indices, chosen: Sequence[int]) -> str:
    return join_words([f"'{names[c]}' ({counts[c]})" for c in chosen], 8)


def _may_stay_undivided(counts: NDArray[np.int64], is_rare: NDArray[np.bool_]) -> bool:
    """Whether rare classes have samples, but few, and at least two other classes remain."""
    few = counts[is_rare].sum() <= MAX_RARE_SHARE * counts.sum()
    return bool(few and counts.min() > 0 and (~is_rare).sum() >= 2)


def record(
    made: Parts,
    parts: Sequence[tuple[str, Indices, NDArray[np.int64] | None]],
    names: Sequence[str] = (),
    settings: SplitSettings | None = None,
) -> dict[str, Any]:
    """Describe the parts for the run folder: method, seed, sizes, samples of each class and a digest of the rows.

    made: says how they were made. `parts` holds (name, rows, classes or None) of each part.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, rows, _ in parts:
        digest.update(f"{name}:{len(rows)}:".encode() + rows.astype("<i8").tobytes())
    description: dict[str, Any] = {
        "method": made.method,
        "how": made.how,
        "split_seed": settings.seed if settings else None,
        "sizes": {name: len(rows) for name, rows, _ in parts},
        "rows_digest": digest.hexdigest(),
    }
    if settings and settings.folds is not None:
        description |= {"folds": settings.folds, "fold": settings.fold}
    counts = {
        name: np.bincount(classes, minlength=len(names)).tolist() for name, _, classes in parts if classes is not None
    }
    if names and counts:
        description["class_counts"] = {c: {part: counts[part][i] for part in counts} for i, c in enumerate(names)}
    return description


Pieces = tuple[Indices, Indices, Indices]  # train, val, test


def _undivided(indices: Indices) -> Pieces:
    nothing = np.zeros(0, np.int64)
    return indices, nothing, nothing


def _fold_pieces(order: Indices, fold_of: Indices, settings: SplitSettings, weights: Indices | None) -> Pieces:
    """The units of one fold as test, and the others divided into train and val."""
    is_test = fold_of[order] == settings.fold
    rest = replace(settings, test_fraction=0, val_fraction=remaining_fraction(settings))
    train, val, _ = _divide(order[~is_test], rest, weights)
    return train, val, order[is_test]


def _divide(order: Indices, settings: SplitSettings, weights: Indices | None = None) -> Pieces:
    """Cut shuffled indices into train, val and test; without `evaluating`, none of them gets less than one sample."""
    count = len(order) if weights is None else int(weights[order].sum())
    val_fraction, test_fraction = settings.val_fraction, settings.test_fraction
    if settings.evaluating:
        test = round(count * test_fraction)
        val = min(round(count * val_fraction), count - test)
    else:
        max_test = count - (2 if test_fraction else 1)
        test = min(max(round(count * test_fraction), 1), max_test) if test_fraction else 0
        val = min(max(round(count * val_fraction), 1), count - 1 - test)
    if weights is not None and len(order) != count:
        return _first_fit(order, weights, test, val)
    return order[test + val :], order[test : test + val], order[:test]


def _first_fit(order: Indices, weights: Indices, test: int, val: int) -> Pieces:
    """As `_divide`, for units that stand for several samples: each goes to the first part that has room for it."""
    room = {2: test, 1: val}
    pieces: list[list[int]] = [[], [], []]
    for unit in order.tolist():
        part = next((part for part, left in room.items() if weights[unit] <= left), 0)
        pieces[part].append(unit)
        if part:
            room[part] -= int(weights[unit])
    for part, wanted in ((2, test), (1, val)):  # a part that had room for none gets the smallest
        if wanted and not pieces[part] and len(pieces[0]) > 1:
            smallest = min(pieces[0], key=lambda unit: int(weights[unit]))
            pieces[0].remove(smallest)
            pieces[part].append(smallest)
    train, in_val, in_test = (np.array(piece, np.int64) for piece in pieces)
    return train, in_val, in_test


def _merge(pieces: Sequence[Pieces]) -> Parts:
    train, val, test = (np.sort(np.concatenate([piece[i] for piece in pieces])).astype(np.int64) for i in range(3))
    return Parts(train, val, test)
