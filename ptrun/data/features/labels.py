"""Turns label texts into class numbers, and finds the scale of numbers.

A label that is not among the class names is a DataError, never a new class.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.errors import DataError, did_you_mean, join_words
from ptrun.rng import Floats

NO_LABEL = "-100"
_INTEGER = re.compile(r"[+-]?[0-9]+")


def class_names(labels: Iterable[str], where: str) -> tuple[str, ...]:
    """Return the distinct labels, in the order of numbers if all are numbers, else of text.

    Raises DataError when there are fewer than two classes.
    """
    distinct = set(labels)
    if all(map(_is_number, distinct)):
        names = sorted(distinct, key=lambda name: (float(name), name))
    else:
        names = sorted(distinct)
    if len(names) < 2:
        classes = f"only the class '{names[0]}'" if names else "no class"
        raise DataError(f"{where} has {classes}; classification needs at least two.")
    return tuple(names)


def labelled(labels: Sequence[str], names: Sequence[str] = ()) -> tuple[list[int], list[str]]:
    """Positions of the samples that have a label, and a note with the number of the others.

    -100 marks a sample without a label where the other labels are class numbers from 0 on: torch's losses and
    transformers leave such samples out (ignore_index). names: the classes of the training, if they are known; a model
    that was trained with a class -100 keeps it.
    """
    texts = tidy_numbers(labels)
    others = set(texts) - {NO_LABEL}
    if NO_LABEL in names or len(others) == len(set(texts)) or not all(text.isdecimal() for text in others):
        return list(range(len(texts))), []
    kept = [position for position, text in enumerate(texts) if text != NO_LABEL]
    return kept, [f"Samples without a label ({NO_LABEL}), left out: {len(texts) - len(kept)}."]


def encode(labels: Sequence[str], names: Sequence[str], where: str, rows: Sequence[int] = ()) -> NDArray[np.int64]:
    """Return the class number of each label, int64 [N]. `rows` are the rows of the labels, for messages.

    A label that ends with a period counts as the one without: the official test file of UCI Adult has such labels.
    Raises DataError for a label that is not among `names`.
    """
    number_of = {name: i for i, name in enumerate(names)}
    codes = [number_of.get(label, number_of.get(label.removesuffix("."), -1)) for label in labels]
    if -1 in codes:
        first = codes.index(-1)
        location = f", first in row {rows[first]}" if len(rows) else ""
        unknown = Counter(label for label, code in zip(labels, codes, strict=True) if code < 0)
        texts = [f"{label!r} ({count:,})" for label, count in sorted(unknown.items())]
        raise DataError(
            f"{where} has classes that are not in the training data: {join_words(texts, 5)}{location}."
            f"{did_you_mean(min(unknown), names)} The training data have: {join_words(names, 12)}."
        )
    return np.asarray(codes, dtype=np.int64)


def tidy_numbers(labels: Sequence[str], names: Sequence[str] = ()) -> list[str]:
    """Write labels that are all numbers in one form, so that "1", "1.0" and "01" are one class.

    Codes of one length that begin with zeros, such as 01067 and 80331, stay as they are. names: the classes of the
    training, if they are known, which decide that.
    """
    distinct = set(labels)
    if not all(map(_is_number, distinct)) or _are_codes(set(names) or distinct):
        return list(labels)
    tidy = {label: _tidy(label) for label in distinct}
    return [tidy[label] for label in labels]


def _are_codes(labels: Iterable[str]) -> bool:
    """Whether labels are digits of one length, and some begin with a zero."""
    texts = list(labels)
    is_padded = any(text.startswith("0") and len(text) > 1 for text in texts)
    return is_padded and all(map(str.isdecimal, texts)) and len(set(map(len, texts))) == 1


def _tidy(label: str) -> str:
    # Whole numbers never become floats: above 2^53 these can't tell neighbors apart.
    if _INTEGER.fullmatch(label):
        return str(int(label))
    value = float(label)
    return str(int(value)) if value.is_integer() else repr(value)


def class_variants(counts: Counter[str]) -> list[str]:
    """Notes on classes that differ in nothing but how they are written, which most likely are one class."""
    groups: dict[str, list[str]] = {}
    for name in counts:
        plain = unicodedata.normalize("NFKC", name).casefold().removesuffix(".")
        groups.setdefault(" ".join(plain.split()), []).append(name)
    variants = [" and ".join(f"'{name}' ({counts[name]})" for name in names) for names in groups.values() if names[1:]]
    if not variants:
        return []
    texts = join_words(variants, 5)
    how = "letter case, blanks, a last period or the code of a letter"
    return [f"Classes that differ in {how} only, kept apart: {texts}. Write them alike if they are one."]


def notes_on_classes(labels: Iterable[str], names: Sequence[str]) -> list[str]:
    """How many samples each class has, and which classes most likely are one."""
    counts = Counter(labels)
    return [f"{len(names)} classes: {class_counts_text(counts, names)}.", *class_variants(counts)]


def class_counts_text(counts: Counter[str], names: Sequence[str]) -> str:
    """Each class with its number of samples, for a note."""
    return join_words([f"{name} ({counts[name]:,})" for name in names], 12)


def fit_scaler(values: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each column of [N, F], both [F]; a constant column has 1."""
    mean, std = values.mean(axis=0), values.std(axis=0)
    # The standard deviation of a constant column is a rounding error, not always an exact zero.
    return mean, np.where(std > 1e-9 * np.maximum(1.0, np.abs(mean)), std, 1.0)


def fit_column(values: Floats) -> dict[str, Any] | None:
    """What is known of a column of numbers [N] with NaN for missing ones: its scale, median, range and missing cells.

    None for a column without two different numbers.
    """
    present = values[~np.isnan(values)]
    if len(present) == 0 or present.min() == present.max():
        return None
    return {
        "mean": float(present.mean()),
        "std": float(present.std()) or 1.0,
        "median": _median(present),
        "missing": len(values) - len(present),
        "min": float(present.min()),
        "max": float(present.max()),
    }


def _median(values: Floats) -> float:
    """The median of numbers without NaN, in a fifth of the time of np.median, which also looks for NaN."""
    half = len(values) // 2
    parted = np.partition(values, half)
    middle = parted[half : half + 1] if len(values) % 2 else np.array([parted[:half].max(), parted[half]])
    return float(middle.mean())


def _is_number(text: str) -> bool:
    """Whether a text is a finite number; Python reads 1_2 as 12, but in a data file it is a name."""
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False
