"""Image pipelines: what becomes of a sample depends on seed, epoch and index alone; mixtures; pickling."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.errors import DataError
from ptrun.registry import image_transforms
from ptrun.rng import SampleRng
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline
from ptrun.transforms.pipeline import Pipeline
from ptrun.transforms.transform import Transform

assert catalog.MODULES


STRONG = [
    {"random_crop": {"padding": 2}},
    {"horizontal_flip": {}},
    "color_jitter",
    {"rand_augment": {}},
    {"random_erasing": {"p": 0.5}},
]


def spec(channels: int = 3, layout: Layout = Layout.IMAGE) -> DataSpec:
    return DataSpec(
        layout=layout,
        task=Task.CLASSIFICATION,
        input_shape=(channels, 12, 12),
        num_outputs=2,
        class_names=("a", "b"),
    )


def pictures(count: int = 6, channels: int = 3, height: int = 12, width: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def pipeline(items: Any, channels: int = 3, **more: Any) -> Pipeline:
    return build_pipeline(items, spec(channels), **more)


def vary_one(pipe: Pipeline, image: Tensor, key: tuple[int, int, int]) -> Tensor:
    seed, epoch, index = key
    return pipe.vary(image[None], SampleRng.of(seed, epoch, [index]))[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_depends_on_the_key_only(channels: int) -> None:
    pipe, images = pipeline(STRONG, channels), pictures(channels=channels)
    keys = [(7, 2, index) for index in range(6)]
    forward = {key: vary_one(pipe, images[key[2]], key) for key in keys}
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)
    again = pipeline(STRONG, channels)
    for key in reversed(keys):
        torch.rand(3)
        assert torch.equal(vary_one(again, images[key[2]], key), forward[key])
    whole = again.vary(images, SampleRng.of(7, 2, range(6)))
    assert torch.equal(whole, torch.stack(list(forward.values())))


def test_large_batches_are_treated_in_chunks_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, images = pipeline(STRONG), pictures(33)
    whole = pipe.vary(images, SampleRng.of(1, 2, range(33)))
    monkeypatch.setattr("ptrun.transforms.pipeline.CHUNK_BYTES", 5 * images[0].nbytes)
    assert torch.equal(pipe.vary(images, SampleRng.of(1, 2, range(33))), whole)


def test_seed_epoch_and_index_each_change_the_augmentation() -> None:
    pipe, image = pipeline(STRONG), pictures()[0]
    keys = [(seed, epoch, index) for seed in range(4) for epoch in range(4) for index in range(4)]
    assert len({vary_one(pipe, image, key).numpy().tobytes() for key in keys}) > 60


def test_transforms_before_the_sizes_are_equal_see_one_image() -> None:
    pipe = pipeline(["horizontal_flip", {"random_resized_crop": {"size": 9}}, "color_jitter", {"cutout": {"size": 3}}])
    images = [pictures(1, height=14 + i, width=20 - i)[0] for i in range(6)]
    rng = SampleRng.of(5, 1, range(6))
    single = torch.stack([pipe.vary_single(image, rng[i : i + 1]) for i, image in enumerate(images)])
    assert single.shape == (6, 3, 9, 9)
    expected = torch.stack([vary_one(pipe, image, (5, 1, i)) for i, image in enumerate(images)])
    assert torch.equal(pipe.vary_stacked(single, rng), expected)


def test_the_global_random_state_is_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_transforms, "_functions", dict(image_transforms._functions))
    image_transforms.register(speckle)
    pipe = pipeline([*STRONG, "speckle", {"resize": {"size": 5}}])
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    vary_one(pipe, pictures()[0], (0, 0, 0))
    assert torch.equal(torch.rand(4), expected)
    torch.manual_seed(3)
    with pytest.raises(DataError, match="'random_crop' can't take an image of shape"):
        vary_one(pipeline(["speckle", {"random_crop": {"size": 64}}]), pictures()[0], (0, 0, 0))
    assert torch.equal(torch.rand(4), expected)


def speckle(*, amount: float = 0.5) -> Transform:
    return Transform(lambda image: image * (torch.rand(image.shape) > amount), random=True)


def test_fixed_transforms_end_at_the_first_random_one() -> None:
    pipe = pipeline([{"resize": {"size": 10}}, "horizontal_flip", {"center_crop": {"size": 6}}])
    images = pictures(height=15)
    fixed = pipe.fixed(images)
    assert pipe.is_random
    assert fixed.shape == (6, 3, 12, 10)
    assert torch.equal(fixed, torch.stack([pipe.fixed(image) for image in images]))
    assert vary_one(pipe, fixed[0], (0, 0, 0)).shape == (3, 6, 6)


def test_a_pipeline_without_random_transforms_does_not_vary() -> None:
    pipe, images = pipeline([{"center_crop": {"size": 6}}]), pictures()
    assert not pipe.is_random
    assert pipe.vary(images, SampleRng.of(0, 0, range(6))) is images


LABELS = torch.tensor([0, 1, 1, 0, 1, 0, 0])


def test_mixtures_are_of_neighbors_and_the_same_for_every_even_batch_size() -> None:
    pipe = pipeline([{"mixup": {"alpha": 1.0}}, "cutmix", {"normalize": {"mean": 0.5, "std": 0.5}}])
    inputs, rng = pipe.finish(pictures(7)), SampleRng.of(2, 3, range(7))
    assert pipe.mixes
    mixed, shares = pipe.mix(inputs, LABELS, rng)
    assert torch.equal(mixed[6], inputs[6])
    assert shares.sum(1) == pytest.approx(torch.ones(7))
    for size in (2, 4):
        parts = [pipe.mix(inputs[i : i + size], LABELS[i : i + size], rng[i : i + size]) for i in range(0, 7, size)]
        assert torch.equal(torch.cat([part for part, _ in parts]), mixed)
        assert torch.equal(torch.cat([part for _, part in parts]), shares)
    assert not torch.equal(pipe.mix(inputs, LABELS, SampleRng.of(2, 4, range(7)))[0], mixed)


def test_mixed_pixels_and_targets_agree() -> None:
    inputs = torch.cat([torch.zeros(1, 3, 40, 40), torch.ones(1, 3, 40, 40)]).repeat(50, 1, 1, 1)
    labels = torch.tensor([0, 1]).repeat(50)
    for transforms in (["mixup"], ["cutmix"], ["mixup", "cutmix"]):
        mixed, shares = pipeline(transforms).mix(inputs, labels, SampleRng.of(0, 0, range(100)))
        assert mixed.mean((1, 2, 3)) == pytest.approx(shares[:, 1], abs=1e-4)
    numbers, targets = pipeline(["mixup"]).mix(inputs, labels[:, None].float(), SampleRng.of(0, 0, range(100)))
    assert numbers.mean((1, 2, 3)) == pytest.approx(targets[:, 0], abs=1e-4)


def test_output_shape() -> None:
    pipe = pipeline([{"random_resized_crop": {"size": 7}}, "horizontal_flip", {"pad": {"padding": 1}}])
    assert pipe.output_shape((3, 40, 30)) == (3, 9, 9)
    with pytest.raises(DataError, match=r"'random_crop' can't take an image of shape \[3, 8, 8\]"):
        pipeline([{"random_crop": {"size": 32}}]).output_shape((3, 8, 8))


def test_a_pipeline_can_be_sent_to_workers() -> None:
    pipe = pipeline([*STRONG, {"normalize": {"mean": 0.5, "std": 0.5}}])
    pipe.finish(pictures().to("meta"))
    sent, image = pickle.dumps(pipe), pictures()[0]
    assert b"meta" not in sent  # nor any other device: a worker must not touch the accelerator
    copy = pickle.loads(sent)
    assert torch.equal(vary_one(copy, image, (1, 2, 3)), vary_one(pipe, image, (1, 2, 3)))
    assert torch.equal(copy.finish(image[None]), pipe.finish(image[None]))


def test_a_plugin_transform_is_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_transforms, "_functions", dict(image_transforms._functions))
    image_transforms.register(speckle)
    pipe, image = pipeline([{"speckle": {"amount": 0.9}}]), pictures()[0] | 1
    assert torch.equal(vary_one(pipe, image, (0, 0, 1)), vary_one(pipe, image, (0, 0, 1)))
    assert not torch.equal(vary_one(pipe, image, (0, 0, 1)), vary_one(pipe, image, (0, 1, 1)))
    assert 0 < (vary_one(pipe, image, (0, 0, 1)) > 0).float().mean() < 0.2
    both = pipe.vary(torch.stack([image, image]), SampleRng.of(0, 0, [0, 1]))
    assert torch.equal(both[1], vary_one(pipe, image, (0, 0, 1)))
