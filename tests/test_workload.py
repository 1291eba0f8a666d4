"""Threads and memory format follow from the size of the work, alike in every run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.runtime import make_runtime, set_threads
from ptrun.workload import settle, step_operations

AUTO = {"index": 0, "precision": "fp32", "compile": "none", "channels_last": "auto", "fused": True, "threads": "auto"}


@pytest.mark.parametrize(
    ("model", "shape", "multiplications"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)), (64,), 64 * 128 + 128 * 10),
        (nn.Conv2d(3, 8, 3, padding=1), (3, 10, 10), 3 * 8 * 9 * 100),
        (nn.LSTM(4, 8, batch_first=True), (20, 4), 20 * 4 * 8 * (4 + 8)),
        (nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (20, 16), 20 * (4 * 16 * 16 + 2 * 16 * 32)),
    ],
)
def test_operations_are_those_of_the_weights(model: nn.Module, shape: tuple[int, ...], multiplications: int):
    assert step_operations(model, shape, 5) == 6 * 5 * multiplications


def test_looking_leaves_no_trace():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    step_operations(model, (1, 8, 8), 32)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_a_small_model_runs_on_one_thread_and_a_large_one_on_all():
    set_threads(None)  # what an earlier run in this process asked for
    torch.set_num_threads(2)
    try:
        for model, shape, batch_size, threads in (
            (nn.Linear(64, 10), (64,), 32, 1),
            (nn.Conv2d(3, 64, 3), (3, 32, 32), 128, 2),
        ):
            runtime = make_runtime(name="cpu", deterministic=False, **AUTO)
            settled = settle(runtime, model, shape, batch_size)
            assert torch.get_num_threads() == threads
            assert ("device.threads", "auto", str(threads)) in settled.decisions
            assert settled.channels_last is isinstance(model, nn.Conv2d)
        make_runtime(name="cpu", deterministic=False, **AUTO)
        assert torch.get_num_threads() == 2, "the next run starts from torch's own number"
    finally:
        torch.set_num_threads(1)


def test_a_batch_has_one_memory_format_whatever_it_came_in():
    by_pixel = torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    for channels_last, wanted in ((True, torch.channels_last), (False, torch.contiguous_format)):
        runtime = make_runtime(name="cpu", deterministic=False, **{**AUTO, "channels_last": channels_last})
        for images in (by_pixel, by_pixel.contiguous()):
            assert runtime.arrange(images).is_contiguous(memory_format=wanted)
