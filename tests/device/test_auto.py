"""Threads and memory format follow from the size of the work, alike in every run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import Ended, newest_run
from torch import nn

from ptrun.device.auto import resolve_auto, step_operations
from ptrun.device.choose import make_runtime
from ptrun.device.runtime import Runtime
from ptrun.device.threads import set_threads

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
            settled = resolve_auto(runtime, model, shape, batch_size)
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


def test_bf16_is_chosen_where_it_is_fast_and_the_work_is_not_small(monkeypatch: pytest.MonkeyPatch):
    runtime = make_runtime(name="cpu", deterministic=False, **{**AUTO, "precision": "auto"})
    large, small = nn.Conv2d(3, 64, 3), nn.Conv2d(3, 4, 3)
    for capabilities, precision in (({"avx512_bf16": True}, "bf16"), ({"avx512_bf16": False, "avx2": True}, "fp32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found, raising=False)
        settled = resolve_auto(runtime, large, (3, 32, 32), 128)
        assert settled.precision == precision
        assert ("device.precision", "auto", precision) in settled.decisions
        assert resolve_auto(runtime, small, (3, 32, 32), 16).precision == "fp32"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_format_without_instructions_for_it_is_reported(precision: str, monkeypatch: pytest.MonkeyPatch):
    runtime = make_runtime(name="cpu", deterministic=False, **{**AUTO, "precision": precision})
    for capability, is_reported in (("avx2", True), (f"avx512_{precision}", False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=capability: {name: True}, raising=False)
        decisions = resolve_auto(runtime, nn.Linear(4, 2), (4,), 16).decisions
        assert any(setting == "device.precision" and "slow" in used for setting, _, used in decisions) == is_reported


def test_a_run_says_which_format_it_chose(folder: Path, ptrun: Callable[..., Ended]):
    ended = ptrun("train", "model=simplenet", "device.precision=auto", "train.max_steps=2")
    assert ended.code == 0, ended.err
    assert "fp32" in next(line for line in ended.out.splitlines() if line.split()[:1] == ["device"])
    receipt = json.loads((newest_run(folder) / "receipt.json").read_text())
    assert {"setting": "device.precision", "requested": "auto", "used": "fp32"} in receipt["decisions"]


@pytest.mark.parametrize(
    ("device", "features", "compile"),
    [("cpu", 16, "step"), ("cpu", 512, "none"), ("cuda", 512, "step"), ("cuda", 20_000, "none"), ("mps", 16, "none")],
)
def test_small_steps_are_captured_and_on_cuda_all_but_large_ones(device: str, features: int, compile: str):
    """6 x 512 x features x features operations; nothing is computed, so no GPU is needed."""
    runtime = Runtime(torch.device(device), compile="auto", threads=1)
    model = nn.Linear(features, features, device="meta")
    assert resolve_auto(runtime, model, (features,), 512).compile == compile


def test_a_step_with_scaled_gradients_is_not_captured():
    runtime = Runtime(torch.device("cuda"), compile="auto", threads=1, scaler=torch.amp.GradScaler("cpu"))
    assert resolve_auto(runtime, nn.Linear(2, 2), (2,), 4).compile == "none"
