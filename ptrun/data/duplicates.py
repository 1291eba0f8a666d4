"""Finds samples that are the same, so that all of them get into one part, and says where they are.

A key is a number that is equal for equal samples, and else differs (64 bits: for a million samples, a chance equality
has a probability of 3 in 100 million).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptrun.data.partition import Indices

Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Identified:
    """Samples with their keys [N], where a person finds each, and their targets [N, ...] if these are compared."""

    keys: Keys
    name: Callable[[int], str]
    targets: NDArray[np.generic] | None = None


_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of splitmix64, by S. Vigna
_STEP = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 8192  # keys that are mixed at a time: they stay in the CPU's cache


def keys_of_bytes(samples: Iterable[bytes]) -> Keys:
    """The key of each sample that is given by its bytes, [N]."""
    digests = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in samples)
    return np.frombuffer(digests, np.uint64)


def keys_of_arrays(samples: NDArray[np.generic]) -> Keys:
    """The key of each sample of an array [N, ...]."""
    return keys_of_bytes(row.tobytes() for row in np.ascontiguousarray(samples))


def keys_of_columns(columns: Iterable[NDArray[np.float64] | tuple[Sequence[str], Indices]], count: int) -> Keys:
    """The key of each row of a table. A column is its numbers [N], or its distinct texts and the text of each row."""
    keys = np.zeros(count, np.uint64)
    for column in columns:
        if isinstance(column, tuple):
            texts, codes = column
            values = keys_of_bytes(text.encode("utf-8", "surrogatepass") for text in texts)[codes]
        else:
            numbers = column + 0.0  # -0.0 is 0.0
            numbers[np.isnan(numbers)] = np.nan  # there are several NaNs
            values = numbers.view(np.uint64)
        for start in range(0, count, _BLOCK):
            _mix_in(keys[start : start + _BLOCK], values[start : start + _BLOCK])
    return keys


def _mix_in(keys: Keys, values: Keys) -> None:
    """Change keys by the values of one more column."""
    keys *= _MULTIPLIERS[0]
    keys += _mixed(values + _STEP)
    _mixed(keys)


def _mixed(values: Keys) -> Keys:
    """Spread each bit over all bits, in place, as numbers differ in few of them."""
    values ^= values >> np.uint64(30)
    values *= _MULTIPLIERS[0]
    values ^= values >> np.uint64(27)
    values *= _MULTIPLIERS[1]
    values ^= values >> np.uint64(31)
    return values


def units_of(keys: NDArray[np.generic]) -> tuple[Indices, Indices]:
    """The unit of each sample [N], counted in the order of their first samples, and the first sample of each unit."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse], first[order]


def joined(unit_of: Indices, group_of: Indices) -> Indices:
    """The unit of each sample when samples of one unit and samples of one group stay together, [N]."""
    parent = list(range(int(unit_of.max(initial=-1)) + 1))

    def root(unit: int) -> int:
        while parent[unit] != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    first_unit: dict[int, int] = {}
    for unit, group in zip(unit_of.tolist(), group_of.tolist(), strict=True):
        parent[root(unit)] = root(first_unit.setdefault(group, unit))
    return units_of(np.array([root(unit) for unit in unit_of.tolist()], np.int64))[0]


def notes_on_duplicates(samples: Identified, noun: str, same: str, *, together: bool) -> list[str]:
    """How many samples equal an earlier one, where the first are, and which of them have different targets.

    same: what they have in common, as a verb: "are the same as". together: whether they stay in one part.
    """
    unit_of, first = units_of(samples.keys)
    first_of = first[unit_of]
    repeats = np.flatnonzero(first_of != np.arange(len(first_of)))
    if not len(repeats):
        return []
    pairs = [(int(first_of[sample]), int(sample)) for sample in repeats]
    outcome = (
        "They stay in one part (split.duplicates=apart takes each for a sample of its own)."
        if together
        else "They may stand in different parts, as split.duplicates=apart says."
    )
    what = f"{noun.capitalize()} that {same} an earlier one"
    notes = [f"{what}: {len(pairs):,} ({_texts(pairs, samples, samples)}). {outcome}"]
    targets = samples.targets
    if targets is not None and (differing := [(i, j) for i, j in pairs if np.any(targets[i] != targets[j])]):
        notes.append(
            f"{what}, but another target: {len(differing):,} ({_texts(differing, samples, samples)}). "
            "No model can tell them apart; correct them if these are mistakes."
        )
    return notes


def notes_on_shared(parts: Mapping[str, Identified], noun: str) -> list[str]:
    """How many samples of each part stand in an earlier one too, where the parts may not be changed."""
    notes = []
    names = [name for name in ("train", "val", "test") if name in parts]
    for position, later in enumerate(names):
        for earlier in names[:position]:
            notes += _shared(parts[earlier], parts[later], noun, (earlier, later))
    return notes


def _shared(first: Identified, second: Identified, noun: str, parts: tuple[str, str]) -> list[str]:
    places = {int(key): i for i, key in reversed(list(enumerate(first.keys.tolist())))}
    pairs = [(places[key], i) for i, key in enumerate(second.keys.tolist()) if key in places]
    if not pairs:
        return []
    earlier, later = parts
    places_text = _texts(pairs, first, second)
    note = (
        f"{len(pairs):,} {noun} of {later} stand in {earlier} too, so that results may look better than they are: "
        f"{places_text}. The parts come with the data and are not changed; remove one of each."
    )
    notes = [note]
    if first.targets is not None and second.targets is not None:
        differing = [(i, j) for i, j in pairs if np.any(first.targets[i] != second.targets[j])]
        if differing:
            notes.append(
                f"{len(differing):,} {noun} of {later} stand in {earlier} with another target: "
                f"{_texts(differing, first, second)}. Correct or remove them."
            )
    return notes


def _texts(pairs: Sequence[tuple[int, int]], first: Identified, second: Identified) -> str:
    texts = [f"{second.name(j)} and {first.name(i)}" for i, j in pairs[:3]]
    return ", ".join(texts) + (f" and {len(pairs) - 3:,} more" if len(pairs) > 3 else "")
