"""Random numbers of samples: uniform, independent of each other, and a function of seed, epoch, sample and position."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.rng import SampleRng, mix_seed


def test_numbers_are_uniform_and_uncorrelated():
    numbers = SampleRng.of(3, 5, range(20_000)).uniforms(4)
    assert numbers.mean(axis=0) == pytest.approx([0.5] * 4, abs=0.01)
    assert numbers.var(axis=0) == pytest.approx([1 / 12] * 4, abs=0.002)
    assert np.abs(np.corrcoef(numbers.T) - np.eye(4)).max() < 0.03
    assert np.abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.03


def test_numbers_depend_on_seed_epoch_sample_and_position_alone():
    numbers = SampleRng.of(3, 5, range(100)).uniforms(2)
    one = SampleRng.of(3, 5, [7])
    assert [one.uniform()[0], one.uniform()[0]] == numbers[7].tolist()
    assert SampleRng.of(3, 6, [7]).uniform() != numbers[7, 0]
    assert SampleRng.of(4, 5, [7]).uniform() != numbers[7, 0]
    assert SampleRng.of(3, 5, [7]).fork(0).uniform() != SampleRng.of(3, 5, [7]).fork(1).uniform()


def test_integers_include_both_limits_and_take_one_limit_for_each_sample():
    assert np.bincount(SampleRng.of(0, 0, range(6000)).integers(2, 4)).tolist()[2:] == pytest.approx(
        [2000] * 3, rel=0.1
    )
    limits = np.arange(6000) % 5
    assert (SampleRng.of(0, 1, range(6000)).integers(0, limits) <= limits).all()


def test_the_numbers_never_change():
    """A run that is resumed by a later version goes on with the same numbers."""
    assert mix_seed(0) == mix_seed(0) != mix_seed(1)
    assert mix_seed(7, 2) != mix_seed(2, 7)
    assert SampleRng.of(7, 2, [0, 1]).seeds() == [1087487693097465074, 3893484860473380889]
