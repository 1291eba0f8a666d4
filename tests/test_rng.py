"""Random numbers depend on their address alone, are the same on every machine, and are well distributed."""

from __future__ import annotations

import numpy as np

from ptrun.rng import SampleRng, mix_seed


def test_mix_seed_is_the_same_on_every_machine():
    assert mix_seed(0) == 8147104208329303767
    assert mix_seed(1, 2, 3) == 3851293329796251419
    assert mix_seed(-1) == mix_seed(2**64 - 1)
    assert mix_seed(1, 2) != mix_seed(2, 1)
    assert all(0 <= mix_seed(seed, epoch) < 2**63 for seed in range(20) for epoch in range(20))


def test_numbers_are_the_same_on_every_machine():
    rng = SampleRng.of(5, 1, [0, 7])
    assert rng.uniform().tolist() == [0.14689692540658217, 0.9614222541184586]
    assert rng.seeds() == [1294168908442791476, 2990596486149897559]


def test_the_numbers_of_a_sample_do_not_depend_on_its_neighbors():
    together = SampleRng.of(5, 1, [3, 9, 4]).uniforms(6)
    assert (SampleRng.of(5, 1, [9]).uniforms(6) == together[1]).all()
    assert (SampleRng.of(5, 1, [3, 9, 4])[1:2].uniforms(6) == together[1]).all()
    assert (SampleRng.of(5, 2, [9]).uniforms(6) != together[1]).all()
    assert (SampleRng.of(6, 1, [9]).uniforms(6) != together[1]).all()


def test_one_call_for_many_numbers_gives_the_same_as_many_calls():
    at_once, one_by_one = SampleRng.of(5, 1, range(4)), SampleRng.of(5, 1, range(4))
    assert (at_once.uniforms(3) == np.column_stack([one_by_one.uniform() for _ in range(3)])).all()


def test_a_fork_does_not_depend_on_what_others_took():
    rng = SampleRng.of(5, 1, range(4))
    expected = rng.fork(2).uniform()
    rng.uniforms(7)
    rng.fork(1).uniforms(3)
    assert (rng.fork(2).uniform() == expected).all()
    assert (rng.fork(3).uniform() != expected).all()


def test_numbers_fill_their_ranges():
    rng = SampleRng.of(0, 0, range(20_000))
    uniform = rng.uniform(2.0, 4.0)
    assert uniform.min() >= 2.0
    assert uniform.max() < 4.0
    assert abs(uniform.mean() - 3.0) < 0.02
    integers = rng.integers(-1, 2)
    assert np.abs(np.bincount(integers + 1) / len(rng) - 0.25).max() < 0.02
    limits = np.arange(len(rng)) % 5
    assert (rng.integers(0, limits) <= limits).all()
    assert abs(rng.chance(0.3).mean() - 0.3) < 0.02
    assert not rng.chance(0.0).any()
    assert rng.chance(1.0).all()
