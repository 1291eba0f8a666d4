"""Which samples make a batch depends on the seed and the epoch alone."""

from __future__ import annotations

import pytest
import torch

from ptrun.data.loading.loader import Batch, BatchSampler, mix_batch
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline


def test_the_order_is_a_function_of_seed_and_epoch():
    sampler = BatchSampler(10, 3, shuffle=True, seed=4)
    torch.manual_seed(0)
    first = sampler.order(2)
    torch.rand(7)
    assert torch.equal(sampler.order(2), first)
    assert not torch.equal(sampler.order(3), first)
    assert not torch.equal(BatchSampler(10, 3, shuffle=True, seed=5).order(2), first)
    assert sorted(first.tolist()) == list(range(10))


def test_without_shuffle_the_order_is_that_of_the_split():
    assert BatchSampler(5, 3, shuffle=False, seed=4).order(2).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("count", "drop_last", "skip_single", "sizes"),
    [
        (10, False, False, [3, 3, 3, 1]),
        (10, True, False, [3, 3, 3]),
        (10, False, True, [3, 3, 3]),
        (11, False, True, [3, 3, 3, 2]),
        (9, True, True, [3, 3, 3]),
        (2, True, False, []),
    ],
)
def test_batch_sizes(count: int, drop_last: bool, skip_single: bool, sizes: list[int]):
    sampler = BatchSampler(count, 3, shuffle=False, seed=0, drop_last=drop_last, skip_single=skip_single)
    assert [sampler.size(position) for position in range(len(sampler))] == sizes


def test_random_numbers_of_a_sample_do_not_depend_on_its_batch():
    sampler = BatchSampler(10, 3, shuffle=True, seed=1)
    together = sampler.rng(2, torch.tensor([7, 3])).uniforms(4)
    assert (sampler.rng(2, torch.tensor([3])).uniforms(4) == together[1:]).all()
    assert (sampler.rng(3, torch.tensor([3])).uniforms(4) != together[1:]).all()


def test_mix_batch_gives_shares_of_classes_and_keeps_the_indices():
    spec = DataSpec(
        layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(1, 4, 4), num_outputs=2, class_names=("a", "b")
    )
    batch = Batch(torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)]), torch.tensor([0, 1]), torch.tensor([5, 8]))
    rng = BatchSampler(10, 2, shuffle=True, seed=1).rng(0, batch.indices)
    mixed = mix_batch(batch, build_pipeline(["mixup"], spec), rng)
    weight = mixed.targets[0, 0]
    assert torch.allclose(mixed.inputs[0], 1 - weight)
    assert torch.allclose(mixed.targets.sum(1), torch.ones(2))
    assert torch.equal(mixed.indices, batch.indices)
    assert mix_batch(batch, build_pipeline(["horizontal_flip"], spec), rng) is batch
    assert mix_batch(batch, None, rng) is batch
