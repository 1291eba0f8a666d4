"""Cuts samples into train, val and test, and writes down how.

Invariant: a cut depends on nothing but the number (or classes) of the samples, the fractions and `split_seed`;
its parts are disjoint and in ascending order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.errors import ConfigError, DataError, join_words

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Positions of the samples of each part, each int64 [N]."""

    train: Indices
    val: Indices
    test: Indices


def check_fractions(val_fraction: float, test_fraction: float, *, evaluating: bool = False) -> None:
    """Raise ConfigError unless both fractions are sensible and leave something to train on.

    When evaluating, all samples may go to test.
    """
    problems = [
        f"dataset.{key} is {value}; it must be above 0 and below 1."
        for key, value in (("val_fraction", val_fraction), ("test_fraction", test_fraction))
        if not 0 <= value <= 1 or (not evaluating and value in (0, 1) and (key, value) != ("test_fraction", 0))
    ]
    if not problems and not evaluating and val_fraction + test_fraction >= 1:
        problems.append(
            f"dataset.val_fraction ({val_fraction}) and dataset.test_fraction ({test_fraction}) leave nothing to train on: their sum must be below 1."
        )
    if problems:
        raise ConfigError(problems)


def stratified(
    classes: NDArray[np.int64],
    names: Sequence[str],
    *,
    val_fraction: float,
    test_fraction: float,
    split_seed: int,
    evaluating: bool = False,
) -> Parts:
    """Cut so that every class [N] is in every part, in the given fractions rounded per class.

    `test_fraction` 0 means that the test samples come from elsewhere: the test part stays empty. When
    evaluating on other data, small classes are allowed and parts may be empty.
    Raises DataError for a class with fewer samples than parts.
    """
    check_fractions(val_fraction, test_fraction, evaluating=evaluating)
    needed = 2 if test_fraction == 0 else 3
    counts = np.bincount(classes, minlength=len(names))
    small = [f"'{names[c]}' ({counts[c]})" for c in np.flatnonzero(counts < needed).tolist()]
    if small and not evaluating:
        raise DataError(
            f"Too few samples of {join_words(small, 8)}: each class needs at least {needed}, one for each part. Add samples or leave the class out."
        )
    generator = np.random.default_rng(split_seed)
    pieces = [
        _cut(generator.permutation(np.flatnonzero(classes == c)), val_fraction, test_fraction, evaluating)
        for c in range(len(names))
    ]
    return _joined(pieces)


def shuffled(
    count: int, *, val_fraction: float, test_fraction: float, split_seed: int, evaluating: bool = False
) -> Parts:
    """Cut `count` samples without classes at random. Raises DataError for fewer samples than parts."""
    check_fractions(val_fraction, test_fraction, evaluating=evaluating)
    if count < 3 and not evaluating:
        raise DataError(f"There are {count} samples; at least 3 are needed, one for each of train, val and test.")
    order = np.random.default_rng(split_seed).permutation(count)
    return _joined([_cut(order, val_fraction, test_fraction, evaluating)])


def record(
    method: str,
    parts: Sequence[tuple[str, Indices, NDArray[np.int64] | None]],
    names: Sequence[str] = (),
    split_seed: int | None = None,
) -> dict[str, Any]:
    """Describe a cut for the run folder: method, seed, sizes, per-class counts and a digest of the rows.

    `parts` holds (name, rows, classes or None) of each part.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, rows, _ in parts:
        digest.update(f"{name}:{len(rows)}:".encode() + rows.astype("<i8").tobytes())
    told: dict[str, Any] = {
        "method": method,
        "split_seed": split_seed,
        "sizes": {name: len(rows) for name, rows, _ in parts},
        "rows_digest": digest.hexdigest(),
    }
    counts = {
        name: np.bincount(classes, minlength=len(names)).tolist() for name, _, classes in parts if classes is not None
    }
    if names and counts:
        told["class_counts"] = {c: {part: counts[part][i] for part in counts} for i, c in enumerate(names)}
    return told


def _cut(
    order: Indices, val_fraction: float, test_fraction: float, evaluating: bool
) -> tuple[Indices, Indices, Indices]:
    count = len(order)
    if evaluating:
        test = round(count * test_fraction)
        val = min(round(count * val_fraction), count - test)
    else:
        room = count - (2 if test_fraction else 1)
        test = min(max(round(count * test_fraction), 1), room) if test_fraction else 0
        val = min(max(round(count * val_fraction), 1), count - 1 - test)
    return order[test + val :], order[test : test + val], order[:test]


def _joined(pieces: Sequence[tuple[Indices, Indices, Indices]]) -> Parts:
    train, val, test = (np.sort(np.concatenate([piece[i] for piece in pieces])).astype(np.int64) for i in range(3))
    return Parts(train, val, test)
