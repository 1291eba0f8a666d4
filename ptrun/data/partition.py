"""Divides samples into train, val and test, and records how.

The parts depend only on the number or classes of the samples and on the settings. They are disjoint and in
ascending order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.errors import ConfigError, DataError, join_words

Indices = NDArray[np.int64]
MAX_RARE_SHARE = 0.02  # largest share of the samples in classes that are too small to divide


@dataclass(frozen=True)
class SplitSettings:
    """The settings of a dataset that say how its samples are divided.

    test_fraction: 0 when the test samples come from elsewhere; the test part is then empty.
    evaluating: a trained model is evaluated on other data, so parts may be empty and classes small.
    """

    val_fraction: float
    test_fraction: float
    split_seed: int
    evaluating: bool = False


@dataclass(frozen=True)
class Parts:
    """Positions of the samples of each part, each int64 [N]; notes say what is out of the ordinary."""

    train: Indices
    val: Indices
    test: Indices
    notes: tuple[str, ...] = ()


def check_fractions(settings: SplitSettings) -> None:
    """Raise ConfigError unless both fractions are in range and leave something to train on.

    When evaluating, all samples may go to the test part.
    """
    val, test, evaluating = settings.val_fraction, settings.test_fraction, settings.evaluating
    problems = [
        f"dataset.{key} is {value}; it must be above 0 and below 1."
        for key, value in (("val_fraction", val), ("test_fraction", test))
        if not 0 <= value <= 1 or (not evaluating and value in (0, 1) and (key, value) != ("test_fraction", 0))
    ]
    if not problems and not evaluating and val + test >= 1:
        problems.append(
            f"dataset.val_fraction ({val}) and dataset.test_fraction ({test}) leave nothing to train on: "
            "their sum must be below 1."
        )
    if problems:
        raise ConfigError(problems)


def stratified(classes: NDArray[np.int64], names: Sequence[str], settings: SplitSettings) -> Parts:
    """Divide samples so that every class is in every part. The fractions are rounded for each class; `classes` is [N].

    A class with fewer samples than parts is in training only, if such classes hold few of the samples.
    Raises DataError when they hold many.
    """
    check_fractions(settings)
    required = 2 if settings.test_fraction == 0 else 3
    counts = np.bincount(classes, minlength=len(names))
    rare = set() if settings.evaluating else set(np.flatnonzero(counts < required).tolist())
    texts = join_words([f"'{names[c]}' ({counts[c]})" for c in sorted(rare)], 8)
    if rare and not _may_stay_undivided(counts, counts < required):
        raise DataError(
            f"Too few samples of {texts}: each class needs at least {required}, one for each part. "
            "Add samples or leave the class out."
        )
    generator = np.random.default_rng(settings.split_seed)
    by_class = [generator.permutation(np.flatnonzero(classes == c)) for c in range(len(names))]
    nothing = np.zeros(0, np.int64)
    pieces = [
        (indices, nothing, nothing) if c in rare else _divide(indices, settings) for c, indices in enumerate(by_class)
    ]
    note = f"Too few samples to divide, all in training: {texts}. Neither validation nor test can judge them."
    return replace(_merge(pieces), notes=(note,) if rare else ())


def cut_from_train(
    codes: NDArray[np.int64], names: Sequence[str], settings: SplitSettings, ready: set[str]
) -> tuple[dict[str, Indices], tuple[str, ...]]:
    """The rows of train, and of those of val and test that are not ready because they come on their own; notes."""
    if {"val", "test"} <= ready:
        return {"train": np.arange(len(codes))}, ()
    if "val" in ready:  # Only test is missing, so the one part that is cut from train becomes the test part.
        parts = stratified(codes, names, replace(settings, val_fraction=settings.test_fraction, test_fraction=0))
        return {"train": parts.train, "test": parts.val}, parts.notes
    if "test" in ready:
        parts = stratified(codes, names, replace(settings, test_fraction=0))
        return {"train": parts.train, "val": parts.val}, parts.notes
    parts = stratified(codes, names, settings)
    return {"train": parts.train, "val": parts.val, "test": parts.test}, parts.notes


def _may_stay_undivided(counts: NDArray[np.int64], is_rare: NDArray[np.bool_]) -> bool:
    """Whether rare classes have samples, but few, and at least two other classes remain."""
    few = counts[is_rare].sum() <= MAX_RARE_SHARE * counts.sum()
    return bool(few and counts.min() > 0 and (~is_rare).sum() >= 2)


def shuffled(count: int, settings: SplitSettings) -> Parts:
    """Divide `count` samples at random. Raises DataError for fewer samples than parts."""
    check_fractions(settings)
    if count < 3 and not settings.evaluating:
        raise DataError(f"There are {count} samples; at least 3 are needed, one for each of train, val and test.")
    return _merge([_divide(np.random.default_rng(settings.split_seed).permutation(count), settings)])


def record(
    method: str,
    parts: Sequence[tuple[str, Indices, NDArray[np.int64] | None]],
    names: Sequence[str] = (),
    split_seed: int | None = None,
) -> dict[str, Any]:
    """Describe the parts for the run folder: method, seed, sizes, samples of each class and a digest of the rows.

    `parts` holds (name, rows, classes or None) of each part.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, rows, _ in parts:
        digest.update(f"{name}:{len(rows)}:".encode() + rows.astype("<i8").tobytes())
    description: dict[str, Any] = {
        "method": method,
        "split_seed": split_seed,
        "sizes": {name: len(rows) for name, rows, _ in parts},
        "rows_digest": digest.hexdigest(),
    }
    counts = {
        name: np.bincount(classes, minlength=len(names)).tolist() for name, _, classes in parts if classes is not None
    }
    if names and counts:
        description["class_counts"] = {c: {part: counts[part][i] for part in counts} for i, c in enumerate(names)}
    return description


def _divide(order: Indices, settings: SplitSettings) -> tuple[Indices, Indices, Indices]:
    """Cut shuffled indices into train, val and test; without `evaluating`, none of them gets less than one sample."""
    count = len(order)
    val_fraction, test_fraction = settings.val_fraction, settings.test_fraction
    if settings.evaluating:
        test = round(count * test_fraction)
        val = min(round(count * val_fraction), count - test)
    else:
        max_test = count - (2 if test_fraction else 1)
        test = min(max(round(count * test_fraction), 1), max_test) if test_fraction else 0
        val = min(max(round(count * val_fraction), 1), count - 1 - test)
    return order[test + val :], order[test : test + val], order[:test]


def _merge(pieces: Sequence[tuple[Indices, Indices, Indices]]) -> Parts:
    train, val, test = (np.sort(np.concatenate([piece[i] for piece in pieces])).astype(np.int64) for i in range(3))
    return Parts(train, val, test)
