"""How a runtime computes: number format, memory format, reading values back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.device.runtime import Runtime

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_has_the_precision(precision: str, dtype: torch.dtype):
    with Runtime(CPU, precision=precision).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize("channels_last", [True, False])
def test_model_and_images_have_one_memory_format(channels_last: bool):
    runtime = Runtime(CPU, channels_last=channels_last)
    wanted = torch.channels_last if channels_last else torch.contiguous_format
    assert runtime.place(nn.Conv2d(3, 4, 3)).weight.is_contiguous(memory_format=wanted)
    for memory_format in (torch.channels_last, torch.contiguous_format):
        images = torch.zeros(2, 3, 8, 8).contiguous(memory_format=memory_format)
        assert runtime.arrange(images).is_contiguous(memory_format=wanted)
    vectors = torch.zeros(2, 3)
    assert runtime.arrange(vectors) is vectors


def test_it_gives_up_when_no_scale_is_small_enough():
    assert not Runtime(CPU).gave_up
    assert not Runtime(CPU, scaler=torch.amp.GradScaler("cpu", init_scale=1.0)).gave_up
    assert Runtime(CPU, scaler=torch.amp.GradScaler("cpu", init_scale=2.0**-100)).gave_up


def test_values_are_fetched_as_numbers():
    assert Runtime(CPU).fetch(torch.tensor([1.5, 2.0]))() == [1.5, 2.0]


def test_a_runtime_is_named():
    assert Runtime(CPU).kind() == "cpu"
    assert Runtime(CPU).name().startswith("cpu (")
    assert Runtime(CPU).peak_memory_bytes() > 2**20
