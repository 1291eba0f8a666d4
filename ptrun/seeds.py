"""Seeds that are addresses: one number from several, so that randomness never depends on history.

Invariant: `mix_seed` is a pure function of its arguments, on every machine and Python.
"""

from __future__ import annotations

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
