"""Tensors that fit stay in memory, everything else is streamed; the choice changes no batch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ptrun.data.datasets.image_files import image_folder
from ptrun.data.loading import choose
from ptrun.data.loading.choose import make_loader
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler
from ptrun.data.loading.streaming import StreamingLoader
from ptrun.data.splits import TensorSplit
from ptrun.device.memory import device_memory_bytes
from ptrun.errors import DataError
from ptrun.process.machine import usable_cores
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline

CPU = torch.device("cpu")
IMAGES = torch.randint(0, 256, (11, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SPLIT = TensorSplit(IMAGES, torch.arange(11) % 2, torch.arange(11))
SPEC = DataSpec(
    layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(1, 6, 6), num_outputs=2, class_names=("a", "b")
)
SAMPLER = BatchSampler(11, 4, shuffle=True, seed=3)


def test_tensors_that_fit_stay_in_memory_and_larger_ones_are_streamed(monkeypatch: pytest.MonkeyPatch):
    pipeline = build_pipeline([{"resize": {"size": 8}}, "horizontal_flip"], SPEC)
    in_memory = make_loader(SPLIT, SAMPLER, pipeline, CPU, 0)
    assert isinstance(in_memory, InMemoryLoader)
    # The images fit before `resize` enlarges them, but not after it.
    monkeypatch.setattr(choose, "IN_MEMORY_SHARE", (SPLIT.num_bytes() + 1) / device_memory_bytes(CPU))
    streamed = make_loader(SPLIT, SAMPLER, pipeline, CPU, 0)
    assert isinstance(streamed, StreamingLoader)
    for a, b in zip(in_memory.epoch(1), streamed.epoch(1), strict=True):
        assert all(torch.equal(one, other) for one, other in zip(a, b, strict=True))
    assert isinstance(make_loader(SPLIT, SAMPLER, None, CPU, 0), InMemoryLoader)


def test_files_are_streamed_by_as_many_workers_as_there_are_cores(tmp_path: Path):
    for number in range(30):
        folder = tmp_path / ("cat", "dog")[number % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(folder / f"{number}.png")
    split = image_folder(root=str(tmp_path)).train
    sampler = BatchSampler(len(split), 1, shuffle=True, seed=0)
    for num_workers, expected in (("auto", min(usable_cores(), 8)), (3, 3), (0, 0)):
        loader = make_loader(split, sampler, None, CPU, num_workers)
        assert isinstance(loader, StreamingLoader)
        assert loader.num_workers == (expected if os.name == "posix" else 0)


def test_no_batch_is_an_error_that_says_why():
    with pytest.raises(DataError, match=r"11 samples, which give no batch of 12 because train\.drop_last"):
        make_loader(SPLIT, BatchSampler(11, 12, shuffle=True, seed=0, drop_last=True), None, CPU, 0)
    with pytest.raises(DataError, match=r"0 samples, which give no batch of 12\. Use a smaller train\.batch_size"):
        make_loader(SPLIT, BatchSampler(0, 12, shuffle=True, seed=0), None, CPU, 0)
