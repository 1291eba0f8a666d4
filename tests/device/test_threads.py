"""A run's number of threads is not left to the next one."""

from __future__ import annotations

import torch

from ptrun.device.threads import set_threads


def test_torchs_own_number_comes_back():
    own = torch.get_num_threads()
    assert set_threads(own + 1) == own + 1
    assert set_threads(own + 2) == own + 2
    assert set_threads(None) == own
    assert set_threads(None) == own
