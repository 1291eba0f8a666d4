"""Seeds that are addresses: one number from several, so that randomness never depends on history.

Invariant: `mix_seed` is a pure function of its arguments, on every machine and Python.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1


def mix_seed(*numbers: int) -> int:
    """Mix whole numbers into one in [0, 2**63), by the finaliser of splitmix64 (Steele et al., 2014)."""
    state = 0
    for number in numbers:
        state = (state + (number & _MASK) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


Floats = NDArray[np.float64]


Integers = NDArray[np.int64]


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class SampleRng:
    """The random numbers of several samples, one row each; every call gives the next numbers of all of them."""

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        self.keys = keys
        self._count = 0

    @classmethod
    def of(cls, seed: int, epoch: int, indices: Sequence[int] | Integers) -> SampleRng:
        """The numbers of these samples in an epoch."""
        address = np.uint64(mix_seed(seed, epoch))
        return cls(_mixed(np.asarray(indices, dtype=np.uint64) + address))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice | Integers) -> SampleRng:
        """The numbers of some of the samples, from their first on."""
        return SampleRng(self.keys[rows])

    def fork(self, position: int) -> SampleRng:
        """Numbers of their own for the step at a position, so that no step shifts those of another."""
        return SampleRng(_mixed(self.keys ^ _mixed(np.full(1, position, dtype=np.uint64))))

    def seeds(self) -> list[int]:
        """One seed a sample, in [0, 2**63), for a generator that wants one."""
        return [int(value) for value in self._next(1)[:, 0] >> np.uint64(1)]

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Floats:
        """[n] numbers in [low, high)."""
        return self.uniforms(1, low, high)[:, 0]

    def uniforms(self, count: int, low: float = 0.0, high: float = 1.0) -> Floats:
        """[n, count] numbers in [low, high)."""
        share = (self._next(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return low + (high - low) * share

    def integers(self, low: int, high: int | Integers) -> Integers:
        """[n] whole numbers in [low, high]; `high` may differ from sample to sample."""
        spread: Floats = np.floor(self.uniform() * (np.asarray(high) - low + 1))
        return low + spread.astype(np.int64)

    def chance(self, p: float) -> NDArray[np.bool_]:
        """[n] times whether something of probability `p` happens."""
        return self.uniform() < p

    def _next(self, count: int) -> NDArray[np.uint64]:
        counters = np.arange(self._count + 1, self._count + 1 + count, dtype=np.uint64)
        self._count += count
        return _mixed(self.keys[:, None] + counters[None, :] * _GOLDEN)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
