"""Random numbers that depend on an address (seed, epoch, sample) and not on earlier calls, equal on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# The constants of splitmix64 (Steele et al., 2014): the increment, and the two factors of the finalizer.
_INCREMENT, _FACTOR_1, _FACTOR_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def mix_seed(*numbers: int) -> int:
    """Mix integers into one in [0, 2**63) by the finalizer of splitmix64; a pure function of its arguments."""
    state = 0
    for number in numbers:
        state = (state + (number & _MASK) + _INCREMENT) & _MASK
        state = ((state ^ (state >> 30)) * _FACTOR_1) & _MASK
        state = ((state ^ (state >> 27)) * _FACTOR_2) & _MASK
        state ^= state >> 31
    return state >> 1


class SampleRng:
    """Random numbers for n samples at once: each call gives one row for each sample, and then the next numbers.

    A row depends on the key of its sample alone, so that a sample gets the same numbers in any batch.
    """

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        self.keys = keys
        self._count = 0  # numbers of each sample that were taken

    @classmethod
    def of(cls, seed: int, epoch: int, indices: Sequence[int] | Integers) -> SampleRng:
        """The random numbers of the samples with these indices in an epoch."""
        address = np.uint64(mix_seed(seed, epoch))
        return cls(_mixed(np.asarray(indices, dtype=np.uint64) + address))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice | Integers) -> SampleRng:
        """The random numbers of some of the samples, from the first number on."""
        return SampleRng(self.keys[rows])

    def fork(self, position: int) -> SampleRng:
        """Independent numbers for the image transform at a position, so that one does not shift those of another."""
        return SampleRng(_mixed(self.keys ^ _mixed(np.full(1, position, dtype=np.uint64))))

    def seeds(self) -> list[int]:
        """One seed for each sample, in [0, 2**63), for another generator."""
        return [int(value) for value in self._next(1)[:, 0] >> np.uint64(1)]

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Floats:
        """[n] numbers in [low, high)."""
        return self.uniforms(1, low, high)[:, 0]

    def uniforms(self, count: int, low: float = 0.0, high: float = 1.0) -> Floats:
        """[n, count] numbers in [low, high)."""
        fraction = (self._next(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return low + (high - low) * fraction

    def integers(self, low: int, high: int | Integers) -> Integers:
        """[n] integers in [low, high], both included; `high` may be an array with a limit for each sample."""
        offset: Floats = np.floor(self.uniform() * (np.asarray(high) - low + 1))
        return low + offset.astype(np.int64)

    def chance(self, p: float) -> NDArray[np.bool_]:
        """[n] booleans, each True with probability `p`."""
        return self.uniform() < p

    def _next(self, count: int) -> NDArray[np.uint64]:
        """The next `count` numbers of each sample, [n, count]."""
        counters = np.arange(self._count + 1, self._count + 1 + count, dtype=np.uint64)
        self._count += count
        return _mixed(self.keys[:, None] + counters[None, :] * np.uint64(_INCREMENT))


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The next state of splitmix64 after each value, finalized."""
    values = values + np.uint64(_INCREMENT)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FACTOR_1)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_FACTOR_2)
    return values ^ (values >> np.uint64(31))
