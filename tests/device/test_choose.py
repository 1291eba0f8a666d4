"""A device that is not there is refused in a sentence; threads and determinism are set."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from ptrun.device.choose import make_runtime
from ptrun.device.threads import set_threads
from ptrun.errors import ConfigError

SETTINGS: dict[str, Any] = {
    "name": "cpu",
    "index": 0,
    "precision": "fp32",
    "compile": "none",
    "channels_last": False,
    "fused": True,
    "threads": "auto",
    "deterministic": False,
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there():
    with pytest.raises(ConfigError, match="torch finds no CUDA device here"):
        make_runtime(**{**SETTINGS, "name": "cuda"})


def test_auto_takes_what_there_is_and_notes_it():
    runtime = make_runtime(**{**SETTINGS, "name": "auto"})
    assert runtime.decisions == (("device", "auto", runtime.device.type),)


def test_too_many_threads_are_refused():
    with pytest.raises(ConfigError, match=r"device\.threads: 100000 is more than 4 for each core"):
        make_runtime(**{**SETTINGS, "threads": 100_000})
    most = 4 * (os.cpu_count() or 1)
    assert make_runtime(**{**SETTINGS, "threads": most}).threads == most
    set_threads(None)


def test_determinism_is_set_and_taken_back():
    make_runtime(**{**SETTINGS, "deterministic": True})
    assert torch.are_deterministic_algorithms_enabled()
    make_runtime(**SETTINGS)
    assert not torch.are_deterministic_algorithms_enabled()


def test_fp16_has_a_scaler():
    assert make_runtime(**{**SETTINGS, "precision": "fp16"}).scaler is not None
    assert make_runtime(**SETTINGS).scaler is None
