"""Weights go into a file and come back with their names, values and metadata."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ptrun.export import safetensors_file


def model() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last), nn.BatchNorm2d(4), nn.Linear(3, 3))
    net.append(net[2])  # two names of one tensor, which the format itself refuses
    return net


def test_weights_and_metadata_come_back(tmp_path: Path):
    net, path = model(), tmp_path / "a.safetensors"
    with path.open("wb") as file:
        safetensors_file.write(net, file, {"license": "MIT", "names": '["é"]'}, torch.float32)
    weights = safetensors_file.read(path)
    assert weights.keys() == net.state_dict().keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in net.state_dict().items())
    assert safetensors_file.metadata_of(path) == {"license": "MIT", "names": '["é"]'}


def test_only_floating_weights_are_rounded(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        safetensors_file.write(model(), file, {}, torch.bfloat16)
    weights = safetensors_file.read(path)
    assert weights["0.weight"].dtype is torch.bfloat16
    assert weights["1.num_batches_tracked"].dtype is torch.int64
