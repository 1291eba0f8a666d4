"""The cores of the machine are divided among the jobs of a sweep, and so are its GPUs."""

from __future__ import annotations

from functools import partial

import pytest
from support import run_config

from ptrun.build.slots import Slot, slots

on_this = partial(slots, cores=8, memory_bytes=5e9)


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_cores_are_divided():
    config = run_config("model=simplenet")
    assert on_this(1, [config] * 9) == [Slot(8)]
    assert on_this(3, [config] * 9) == [Slot(2)] * 3
    assert on_this(3, [config] * 2) == [Slot(4)] * 2  # no more places than jobs
    assert on_this(20, [config] * 30) == [Slot(1)] * 20


def test_auto_leaves_memory_to_each_job():
    config = run_config("model=simplenet")
    assert slots("auto", [config] * 9, 8, 5e9) == [Slot(4)] * 2
    assert slots("auto", [config] * 9, 8, 1e9) == [Slot(8)]
    assert slots("auto", [config] * 9, 8, 1e12) == [Slot(1)] * 8
    assert slots("auto", [config] * 9, 8, 5e9, job_bytes=1e9) == [Slot(1)] * 5


def test_each_job_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch):
    config = run_config("model=simplenet")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    by_name = [Slot(4, {"CUDA_VISIBLE_DEVICES": name}) for name in ("4", "GPU-7")]
    assert on_this("auto", [config] * 9) == by_name
    assert [slot.environment for slot in on_this(4, [config] * 9)] == 2 * [slot.environment for slot in by_name]
    assert on_this("auto", [run_config("model=simplenet", "device=cpu")] * 9) == [Slot(4)] * 2
    assert on_this("auto", [run_config("model=simplenet", "device.index=1")] * 9)[0].environment == {}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    assert on_this("auto", [config] * 9) == [Slot(8)]
