"""The state of every random generator can be saved and put back, as plain data."""

from __future__ import annotations

import io
import random

import numpy as np
import torch

from ptrun.device.random_state import random_state, restore_random_state, seed_everything


def draw() -> tuple[float, float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(())), random.gauss(0, 1)


def test_the_same_numbers_follow_a_restored_state():
    draw()
    state = random_state()
    first = draw()
    restore_random_state(state)
    assert draw() == first


def test_the_state_loads_as_data_only():
    file = io.BytesIO()
    torch.save(random_state(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    first = draw()
    restore_random_state(state)
    assert draw() == first


def test_a_seed_decides_all_generators():
    seed_everything(2**40 + 3)  # NumPy takes 32 bits only
    first = draw()
    seed_everything(2**40 + 3)
    assert draw() == first
