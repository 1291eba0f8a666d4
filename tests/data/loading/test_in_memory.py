"""Batches out of tensors in memory: the right samples, from any position, after the pipeline."""

from __future__ import annotations

import pytest
import torch

from ptrun.data.loading import in_memory
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler
from ptrun.data.splits import TensorSplit
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline

CPU = torch.device("cpu")
SPEC = DataSpec(
    layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(3, 9, 9), num_outputs=3, class_names=("a", "b", "c")
)


def numbered(count: int) -> TensorSplit:
    return TensorSplit(torch.arange(count).float()[:, None], torch.arange(count), torch.arange(count))


@pytest.mark.parametrize("drop_last", [False, True])
def test_inputs_targets_and_indices_are_of_the_same_samples(drop_last: bool):
    sampler = BatchSampler(10, 3, shuffle=True, seed=1, drop_last=drop_last)
    batches = list(InMemoryLoader(numbered(10), sampler, None, CPU).epoch(4))
    assert [len(batch.targets) for batch in batches] == [3, 3, 3] + ([] if drop_last else [1])
    assert torch.cat([batch.indices for batch in batches]).equal(sampler.order(4)[: 9 if drop_last else 10])
    for batch in batches:
        assert batch.targets.equal(batch.indices)
        assert batch.inputs[:, 0].equal(batch.indices.float())


def test_an_epoch_can_start_at_any_of_its_batches():
    loader = InMemoryLoader(numbered(10), BatchSampler(10, 3, shuffle=True, seed=1), None, CPU)
    batches = list(loader.epoch(2))
    for start in range(4):
        rest = list(loader.epoch(2, start))
        assert len(rest) == 4 - start
        assert all(a.indices.equal(b.indices) for a, b in zip(rest, batches[start:], strict=True))


def test_gathering_several_batches_at_once_changes_no_batch(monkeypatch: pytest.MonkeyPatch):
    images = torch.randint(0, 256, (26, 3, 9, 9), dtype=torch.uint8)
    split = TensorSplit(images, torch.arange(26) % 3, torch.arange(26))
    pipeline = build_pipeline(["horizontal_flip", {"random_crop": {"padding": 2}}, "mixup"], SPEC)
    batches = {}
    for gathered in (1, 2**19):
        monkeypatch.setattr(in_memory, "GATHERED_BYTES", gathered)
        loader = InMemoryLoader(split, BatchSampler(26, 4, shuffle=True, seed=3), pipeline, CPU)
        batches[gathered] = list(loader.epoch(1))
    for one, many in zip(*batches.values(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True))


def test_describe():
    loader = InMemoryLoader(numbered(10), BatchSampler(10, 3, shuffle=True, seed=1), None, CPU)
    assert loader.describe() == "in memory on cpu"
    assert loader.bad_samples == {}
