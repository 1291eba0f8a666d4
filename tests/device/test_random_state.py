"""The state of every random generator can be saved and put back, as plain data."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import ROOT

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


@pytest.mark.slow
def test_later_imports_draw_no_random_numbers():
    """A run imports packages when it needs them, some in a thread, so draws at an import would come at any time."""
    program = """
import pickle, sys
from ptrun.device.random_state import random_state, seed_everything
seed_everything(1)
before = pickle.dumps(random_state()["python"])
for name in sys.argv[1:]:
    __import__(name)
print(pickle.dumps(random_state()["python"]) == before, random_state()["numpy"][2:])
"""
    packages = ("sklearn.metrics", "sklearn.datasets", "matplotlib.pyplot", "torchvision", "timm", "pandas", "pyarrow")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, *packages, "ptrun.runs.session", "ptrun.runs.evaluate"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "True [624, 0, 0.0]\n"), ended.stderr


def test_a_seed_decides_all_generators():
    seed_everything(2**40 + 3)  # NumPy takes 32 bits only
    first = draw()
    seed_everything(2**40 + 3)
    assert draw() == first
