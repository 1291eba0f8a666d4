"""Batches that are given to a network at once give the bits that each of them gives alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ptrun.models.simplenet import SimpleNet
from ptrun.runs.prediction.merged_batches import MergedBatches


class Member:
    """A trained model that counts its calls."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.calls = model.eval(), 0
        self.runtime = SimpleNamespace(device=torch.device("cpu"))

    def outputs(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        with torch.inference_mode():
            return self.model(inputs)


class Centered(nn.Module):
    """Looks at the whole batch."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs - inputs.mean(0)


def outputs(model: Any, batch_size: int = 64, rows: int = 512) -> tuple[list[Tensor], list[Tensor], int]:
    """What merged and single batches give for some chunks, and how often the network was called for the last chunk."""
    member = Member(model)
    merged = MergedBatches(member)  # type: ignore[arg-type]
    chunks = [torch.randn(rows, 12) for _ in range(3)]
    given = []
    for chunk in chunks:
        member.calls = 0
        given.append(merged.outputs(chunk, batch_size))
    calls = member.calls
    return given, [torch.cat([member.outputs(b) for b in torch.split(chunk, batch_size)]) for chunk in chunks], calls


@pytest.mark.parametrize("rows", [512, 1500, 1024, 64, 7])
@pytest.mark.parametrize("hidden", [[], [64], [300, 17]])
def test_the_bits_are_those_of_single_batches(rows: int, hidden: list[int]):
    given, expected, _ = outputs(SimpleNet(12, hidden, 3), rows=rows)
    assert all(map(torch.equal, given, expected))


def test_a_network_is_called_once_if_the_bits_are_equal():
    class Exact(nn.Linear):
        pass

    assert outputs(nn.Sequential(nn.Flatten(), nn.ReLU()))[2] == 1
    assert outputs(nn.Sequential(Exact(12, 2)))[2] == 8  # a layer of another class may do anything


def test_a_network_that_looks_at_the_batch_gets_each_batch_alone():
    given, expected, calls = outputs(nn.Sequential(Centered(), nn.Linear(12, 2)))
    assert all(map(torch.equal, given, expected))
    assert calls == 8


def test_other_bits_are_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ptrun.runs.prediction.merged_batches._LAYERS", (Centered,))
    given, expected, calls = outputs(Centered())
    assert all(map(torch.equal, given, expected))
    assert calls == 8
