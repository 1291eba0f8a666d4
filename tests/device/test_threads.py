"""A run's number of threads is not left to the next one."""

from __future__ import annotations

import torch

from ptrun.device.threads import set_threads, start_with_threads


def test_torchs_own_number_comes_back():
    own = torch.get_num_threads()
    assert set_threads(own + 1) == own + 1
    assert set_threads(own + 2) == own + 2
    assert set_threads(None) == own
    assert set_threads(None) == own


def test_another_number_can_take_the_place_of_torchs_own():
    own = set_threads(None)
    set_threads(own + 1)
    try:
        start_with_threads(own + 2)
        assert set_threads(1) == 1
        assert set_threads(None) == own + 2
    finally:
        start_with_threads(own)
