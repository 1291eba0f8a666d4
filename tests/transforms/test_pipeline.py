from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.errors import ConfigError, DataError
from ptrun.registry import image_transforms
from ptrun.rng import SampleRng
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline
from ptrun.transforms.pipeline import Pipeline
from ptrun.transforms.statistics import STATISTICS, evenly_spaced
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


def pipeline(given: Any, channels: int = 3, **more: Any) -> Pipeline:
    return build_pipeline(given, spec(channels), **more)


def one(line: Pipeline, image: Tensor, key: tuple[int, int, int]) -> Tensor:
    seed, epoch, index = key
    return line.vary(image[None], SampleRng.of(seed, epoch, [index]))[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_depends_on_the_key_only(channels: int) -> None:
    line, images = pipeline(STRONG, channels), pictures(channels=channels)
    keys = [(7, 2, index) for index in range(6)]
    forward = {key: one(line, images[key[2]], key) for key in keys}
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)
    again = pipeline(STRONG, channels)
    for key in reversed(keys):
        torch.rand(3)
        assert torch.equal(one(again, images[key[2]], key), forward[key])
    whole = again.vary(images, SampleRng.of(7, 2, range(6)))
    assert torch.equal(whole, torch.stack(list(forward.values())))


def test_large_batches_are_treated_in_chunks_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    line, images = pipeline(STRONG), pictures(33)
    whole = line.vary(images, SampleRng.of(1, 2, range(33)))
    monkeypatch.setattr("ptrun.transforms.pipeline.CHUNK_BYTES", 5 * images[0].nbytes)
    assert torch.equal(line.vary(images, SampleRng.of(1, 2, range(33))), whole)


def test_seed_epoch_and_index_each_change_the_augmentation() -> None:
    line, image = pipeline(STRONG), pictures()[0]
    keys = [(seed, epoch, index) for seed in range(4) for epoch in range(4) for index in range(4)]
    assert len({one(line, image, key).numpy().tobytes() for key in keys}) > 60


def test_transforms_before_the_sizes_are_equal_see_one_image() -> None:
    line = pipeline(["horizontal_flip", {"random_resized_crop": {"size": 9}}, "color_jitter", {"cutout": {"size": 3}}])
    images = [pictures(1, height=14 + i, width=20 - i)[0] for i in range(6)]
    draws = SampleRng.of(5, 1, range(6))
    single = torch.stack([line.vary_single(image, draws[i : i + 1]) for i, image in enumerate(images)])
    assert single.shape == (6, 3, 9, 9)
    expected = torch.stack([one(line, image, (5, 1, i)) for i, image in enumerate(images)])
    assert torch.equal(line.vary_stacked(single, draws), expected)


def test_the_global_random_state_is_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_transforms, "_functions", dict(image_transforms._functions))
    image_transforms.register(speckle)
    line = pipeline([*STRONG, "speckle", {"resize": {"size": 5}}])
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    one(line, pictures()[0], (0, 0, 0))
    assert torch.equal(torch.rand(4), expected)
    torch.manual_seed(3)
    with pytest.raises(DataError, match="'random_crop' can't take an image of shape"):
        one(pipeline(["speckle", {"random_crop": {"size": 64}}]), pictures()[0], (0, 0, 0))
    assert torch.equal(torch.rand(4), expected)


def speckle(*, amount: float = 0.5) -> Transform:
    return Transform(lambda image: image * (torch.rand(image.shape) > amount), random=True)


def test_fixed_transforms_end_at_the_first_random_one() -> None:
    line = pipeline([{"resize": {"size": 10}}, "horizontal_flip", {"center_crop": {"size": 6}}])
    images = pictures(height=15)
    fixed = line.fixed(images)
    assert line.is_random
    assert fixed.shape == (6, 3, 12, 10)
    assert torch.equal(fixed, torch.stack([line.fixed(image) for image in images]))
    assert one(line, fixed[0], (0, 0, 0)).shape == (3, 6, 6)


def test_a_pipeline_without_random_transforms_does_not_vary() -> None:
    line, images = pipeline([{"center_crop": {"size": 6}}]), pictures()
    assert not line.is_random
    assert line.vary(images, SampleRng.of(0, 0, range(6))) is images


LABELS = torch.tensor([0, 1, 1, 0, 1, 0, 0])


def test_mixtures_are_of_neighbours_and_the_same_for_every_even_batch_size() -> None:
    line = pipeline([{"mixup": {"alpha": 1.0}}, "cutmix", {"normalize": {"mean": 0.5, "std": 0.5}}])
    inputs, draws = line.finish(pictures(7)), SampleRng.of(2, 3, range(7))
    assert line.mixes
    mixed, shares = line.mix(inputs, LABELS, draws)
    assert torch.equal(mixed[6], inputs[6])
    assert shares.sum(1) == pytest.approx(torch.ones(7))
    for size in (2, 4):
        parts = [line.mix(inputs[i : i + size], LABELS[i : i + size], draws[i : i + size]) for i in range(0, 7, size)]
        assert torch.equal(torch.cat([part for part, _ in parts]), mixed)
        assert torch.equal(torch.cat([part for _, part in parts]), shares)
    assert not torch.equal(line.mix(inputs, LABELS, SampleRng.of(2, 4, range(7)))[0], mixed)


def test_mixed_pixels_and_targets_agree() -> None:
    inputs = torch.cat([torch.zeros(1, 3, 40, 40), torch.ones(1, 3, 40, 40)]).repeat(50, 1, 1, 1)
    labels = torch.tensor([0, 1]).repeat(50)
    for transforms in (["mixup"], ["cutmix"], ["mixup", "cutmix"]):
        mixed, shares = pipeline(transforms).mix(inputs, labels, SampleRng.of(0, 0, range(100)))
        assert mixed.mean((1, 2, 3)) == pytest.approx(shares[:, 1], abs=1e-4)
    numbers, targets = pipeline(["mixup"]).mix(inputs, labels[:, None].float(), SampleRng.of(0, 0, range(100)))
    assert numbers.mean((1, 2, 3)) == pytest.approx(targets[:, 0], abs=1e-4)


def test_mixing_comes_after_the_transforms_of_one_image() -> None:
    with pytest.raises(ConfigError, match="Put them after the transforms that change one image"):
        pipeline(["mixup", "horizontal_flip"])


def test_without_normalize_images_are_scaled_to_one() -> None:
    batch = pictures()
    assert torch.equal(pipeline([]).finish(batch), batch.float() / 255)


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("transforms", [[], [{"normalize": {"mean": [0.1, 0.2, 0.3], "std": [0.3, 0.2, 0.4]}}]])
def test_floats_have_the_same_bits_in_any_memory_format(transforms: list[Any], count: int) -> None:
    line, images = pipeline(transforms), pictures(count, height=150, width=131)
    expected = line.finish(images)
    by_pixel = images.contiguous(memory_format=torch.channels_last)
    found = line.finish(by_pixel)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(line.finish(images[:, :, ::2]), expected[:, :, ::2])


@pytest.mark.parametrize(
    ("name", "mean", "std"), [(name, *pair) for name, pair in STATISTICS.items() if len(pair[0]) in (1, 3)]
)
def test_named_statistics(name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    batch = pictures(channels=3 if len(mean) == 3 else 1)
    line = pipeline([{"normalize": {"mean": name, "std": name}}], batch.shape[1])
    expected = (batch.double() / 255 - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    finished = line.finish(batch)
    assert finished.dtype == torch.float32
    torch.testing.assert_close(finished, expected.float(), rtol=1e-5, atol=2e-6)


def test_given_statistics_one_for_each_channel_or_one_for_all() -> None:
    batch = pictures()
    each = pipeline([{"normalize": {"mean": [0.1, 0.2, 0.3], "std": [1, 2, 4]}}]).finish(batch)
    assert each[0, 2, 0, 0].item() == pytest.approx((batch[0, 2, 0, 0].item() / 255 - 0.3) / 4, abs=1e-6)
    for one in (0.5, [0.5], "half"):
        finished = pipeline([{"normalize": {"mean": one, "std": one}}]).finish(batch)
        torch.testing.assert_close(finished, batch / 127.5 - 1, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batched", [False, True])
def test_computed_statistics_are_those_of_the_fixed_training_images(batched: bool) -> None:
    images, calls = pictures(40, height=20), []

    def sample() -> Iterator[Tensor]:
        calls.append(1)
        yield from images.split(7) if batched else images

    line = pipeline([{"center_crop": {"size": 8}}, "horizontal_flip", "normalize"], sample_images=sample)
    values = line.fixed(images).double() / 255
    assert line.fitted["mean"] == pytest.approx(values.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert line.fitted["std"] == pytest.approx(values.std((0, 2, 3), correction=0).tolist(), rel=1e-9)
    assert line.facts[0].startswith("normalize: mean [0.")
    assert line.facts[0].endswith("of 40 training images.")
    finished = line.finish(line.fixed(images))
    assert finished.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert finished.std((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    again = pipeline(["normalize"], fitted=line.fitted, sample_images=sample)
    assert torch.equal(again.finish(images[..., :8, :8]), line.finish(images[..., :8, :8]))
    assert again.fitted == line.fitted
    assert len(calls) == 1


def test_images_of_different_sizes_are_pooled_by_pixel() -> None:
    images = [torch.zeros(1, 2, 2, dtype=torch.uint8), torch.full((1, 4, 3), 255, dtype=torch.uint8)]
    line = pipeline(["normalize"], 1, sample_images=lambda: iter(images))
    assert line.fitted["mean"] == pytest.approx([0.75])


def test_a_constant_channel_is_only_shifted() -> None:
    images = torch.full((3, 1, 4, 4), 51, dtype=torch.uint8)
    line = pipeline(["normalize"], 1, sample_images=lambda: iter(images))
    assert line.fitted["std"] == [0.0]
    assert line.finish(images + 51).unique().tolist() == pytest.approx([0.2])


def test_colour_statistics_on_grey_images_are_averaged_and_told() -> None:
    line = pipeline([{"normalize": {"mean": "imagenet", "std": "imagenet"}}], 1)
    assert line.facts[0] == (
        "normalize: the images have one channel, so the mean of 'imagenet' is averaged over its 3 channels."
    )
    finished = line.finish(torch.zeros(1, 1, 2, 2, dtype=torch.uint8))
    assert finished.unique().tolist() == pytest.approx([-0.449 / 0.226], rel=1e-4)


def test_statistics_follow_a_change_of_channels() -> None:
    line = pipeline([{"grayscale": {"channels": 1}}, {"normalize": {"mean": 0.5, "std": [0.25]}}])
    assert line.finish(line.fixed(pictures())).shape == (6, 1, 12, 12)
    assert line.output_shape((3, 12, 12)) == (1, 12, 12)


def test_output_shape() -> None:
    line = pipeline([{"random_resized_crop": {"size": 7}}, "horizontal_flip", {"pad": {"padding": 1}}])
    assert line.output_shape((3, 40, 30)) == (3, 9, 9)
    with pytest.raises(DataError, match=r"'random_crop' can't take an image of shape \[3, 8, 8\]"):
        pipeline([{"random_crop": {"size": 32}}]).output_shape((3, 8, 8))


def test_a_pipeline_can_be_sent_to_workers() -> None:
    line = pipeline([*STRONG, {"normalize": {"mean": 0.5, "std": 0.5}}])
    line.finish(pictures().to("meta"))
    sent, image = pickle.dumps(line), pictures()[0]
    assert b"meta" not in sent  # nor any other device: a worker must not touch the accelerator
    copy = pickle.loads(sent)
    assert torch.equal(one(copy, image, (1, 2, 3)), one(line, image, (1, 2, 3)))
    assert torch.equal(copy.finish(image[None]), line.finish(image[None]))


def test_a_plugin_transform_is_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_transforms, "_functions", dict(image_transforms._functions))
    image_transforms.register(speckle)
    line, image = pipeline([{"speckle": {"amount": 0.9}}]), pictures()[0] | 1
    assert torch.equal(one(line, image, (0, 0, 1)), one(line, image, (0, 0, 1)))
    assert not torch.equal(one(line, image, (0, 0, 1)), one(line, image, (0, 1, 1)))
    assert 0 < (one(line, image, (0, 0, 1)) > 0).float().mean() < 0.2
    both = line.vary(torch.stack([image, image]), SampleRng.of(0, 0, [0, 1]))
    assert torch.equal(both[1], one(line, image, (0, 0, 1)))


def test_evenly_spaced() -> None:
    assert evenly_spaced(5, 10) == [0, 1, 2, 3, 4]
    assert evenly_spaced(10, 4) == [0, 2, 5, 7]
    assert len(set(evenly_spaced(50_001))) == 2000
    assert evenly_spaced(50_001)[-1] < 50_001


def test_all_mistakes_of_a_list_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        pipeline(
            ["normalize", {"resise": {"size": 3}}, {"resize": None}, {"a": {}, "b": {}}, {"pad": 3}, "horizontal_flip"]
        )
    told = caught.value.problems
    assert told[0].startswith("transform, number 2: There is no image transform 'resise'. Did you mean 'resize'?")
    assert (
        told[1] == "transform, number 3: image_transform.size: image transform 'resize' needs a value for this setting."
    )
    assert told[2].startswith("transform, number 4: expected a name or one `NAME: {settings}`, got {'a'")
    assert told[3] == "transform, number 5: expected `pad: {SETTING: VALUE}`, got `pad: 3`."
    assert "normalize has to come last" in told[4]
    assert len(told) == 5


def test_other_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match="transform, number 1: color_jitter refuses its settings"):
        pipeline([{"color_jitter": {"hue": 3.0}}])
    with pytest.raises(ConfigError, match=r"normalize\.std: 2 values are given, but the images have 3 channels"):
        pipeline([{"normalize": {"mean": 0.5, "std": [1, 2]}}])
    with pytest.raises(ConfigError, match=r"normalize\.mean: there are no statistics 'imagent'"):
        pipeline([{"normalize": {"mean": "imagent", "std": 1}}])
    with pytest.raises(ConfigError, match="needs the training images"):
        pipeline(["normalize"])
    with pytest.raises(ConfigError, match="the data are of layout 'vector'"):
        build_pipeline([], spec(layout=Layout.VECTOR))
    with pytest.raises(DataError, match="no training images"):
        pipeline(["normalize"], sample_images=lambda: iter(()))
    mixed = [pictures()[0], pictures(channels=1)[0]]
    with pytest.raises(DataError, match="some images have 3 channels and others 1"):
        pipeline(["normalize"], sample_images=lambda: iter(mixed))
    line = pipeline(["normalize"], fitted={"mean": [0.5], "std": [0.5]})
    with pytest.raises(DataError, match="statistics of 1 channels, but the images have 3"):
        line.finish(pictures())
