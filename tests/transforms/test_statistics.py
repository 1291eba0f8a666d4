"""Statistics of normalize: named, given, or computed from the training images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.rng import SampleRng
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline
from ptrun.transforms.pipeline import Pipeline
from ptrun.transforms.statistics import STATISTICS, evenly_spaced

assert catalog.MODULES


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


@pytest.mark.parametrize(
    ("name", "mean", "std"), [(name, *pair) for name, pair in STATISTICS.items() if len(pair[0]) in (1, 3)]
)
def test_named_statistics(name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    batch = pictures(channels=3 if len(mean) == 3 else 1)
    pipe = pipeline([{"normalize": {"mean": name, "std": name}}], batch.shape[1])
    expected = (batch.double() / 255 - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    finished = pipe.finish(batch)
    assert finished.dtype == torch.float32
    torch.testing.assert_close(finished, expected.float(), rtol=1e-5, atol=2e-6)


def test_given_statistics_one_for_each_channel_or_one_for_all() -> None:
    batch = pictures()
    by_channel = pipeline([{"normalize": {"mean": [0.1, 0.2, 0.3], "std": [1, 2, 4]}}]).finish(batch)
    assert by_channel[0, 2, 0, 0].item() == pytest.approx((batch[0, 2, 0, 0].item() / 255 - 0.3) / 4, abs=1e-6)
    for value in (0.5, [0.5], "half"):
        finished = pipeline([{"normalize": {"mean": value, "std": value}}]).finish(batch)
        torch.testing.assert_close(finished, batch / 127.5 - 1, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batched", [False, True])
def test_computed_statistics_are_those_of_the_fixed_training_images(batched: bool) -> None:
    images, calls = pictures(40, height=20), []

    def sample() -> Iterator[Tensor]:
        calls.append(1)
        yield from images.split(7) if batched else images

    pipe = pipeline([{"center_crop": {"size": 8}}, "horizontal_flip", "normalize"], sample_images=sample)
    values = pipe.fixed(images).double() / 255
    assert pipe.fitted["mean"] == pytest.approx(values.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert pipe.fitted["std"] == pytest.approx(values.std((0, 2, 3), correction=0).tolist(), rel=1e-9)
    assert pipe.notes[0].startswith("normalize: mean [0.")
    assert pipe.notes[0].endswith("of 40 training images.")
    finished = pipe.finish(pipe.fixed(images))
    assert finished.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert finished.std((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    again = pipeline(["normalize"], fitted=pipe.fitted, sample_images=sample)
    assert torch.equal(again.finish(images[..., :8, :8]), pipe.finish(images[..., :8, :8]))
    assert again.fitted == pipe.fitted
    assert len(calls) == 1


def test_images_of_different_sizes_are_pooled_by_pixel() -> None:
    images = [torch.zeros(1, 2, 2, dtype=torch.uint8), torch.full((1, 4, 3), 255, dtype=torch.uint8)]
    pipe = pipeline(["normalize"], 1, sample_images=lambda: iter(images))
    assert pipe.fitted["mean"] == pytest.approx([0.75])


def test_a_constant_channel_is_only_shifted() -> None:
    images = torch.full((3, 1, 4, 4), 51, dtype=torch.uint8)
    pipe = pipeline(["normalize"], 1, sample_images=lambda: iter(images))
    assert pipe.fitted["std"] == [0.0]
    assert pipe.finish(images + 51).unique().tolist() == pytest.approx([0.2])


def test_color_statistics_on_gray_images_are_averaged_and_reported() -> None:
    pipe = pipeline([{"normalize": {"mean": "imagenet", "std": "imagenet"}}], 1)
    assert pipe.notes[0] == (
        "normalize: the images have one channel, so the mean of 'imagenet' is averaged over its 3 channels."
    )
    finished = pipe.finish(torch.zeros(1, 1, 2, 2, dtype=torch.uint8))
    assert finished.unique().tolist() == pytest.approx([-0.449 / 0.226], rel=1e-4)


def test_statistics_follow_a_change_of_channels() -> None:
    pipe = pipeline([{"grayscale": {"channels": 1}}, {"normalize": {"mean": 0.5, "std": [0.25]}}])
    assert pipe.finish(pipe.fixed(pictures())).shape == (6, 1, 12, 12)
    assert pipe.output_shape((3, 12, 12)) == (1, 12, 12)


def test_evenly_spaced() -> None:
    assert evenly_spaced(5, 10) == [0, 1, 2, 3, 4]
    assert evenly_spaced(10, 4) == [0, 2, 5, 7]
    assert len(set(evenly_spaced(50_001))) == 2000
    assert evenly_spaced(50_001)[-1] < 50_001
