"""All image transforms: fixed ones equal torchvision, random ones give an image the same bits in any batch."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from ptrun import catalog
from ptrun.registry import image_transforms
from ptrun.rng import SampleRng
from ptrun.transforms.transform import BatchTransform, Transform

assert catalog.MODULES


FIXED = {
    "resize": ({"size": 12}, v2.Resize([12], antialias=True)),
    "center_crop": ({"size": [10, 8]}, v2.CenterCrop([10, 8])),
    "pad": ({"padding": [1, 2], "fill": 9}, v2.Pad([1, 2], fill=9)),
    "grayscale": ({"channels": 3}, v2.Grayscale(3)),
}


RANDOM: dict[str, dict[str, Any]] = {
    "random_crop": {"size": 8, "padding": 2},
    "random_resized_crop": {"size": 8, "scale": [0.2, 1.0]},
    "horizontal_flip": {},
    "vertical_flip": {},
    "rotation": {"degrees": 40.0, "fill": 30},
    "color_jitter": {"hue": 0.2},
    "rand_augment": {"num_ops": 3},
    "random_erasing": {"fill": 7},
    "cutout": {"size": 5, "p": 0.8},
}


MIXING: dict[str, dict[str, Any]] = {"mixup": {}, "cutmix": {}}


def picture(channels: int = 3, height: int = 20, width: int = 16, count: int | None = None) -> Tensor:
    shape = (channels, height, width) if count is None else (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make(name: str, settings: dict[str, Any]) -> Any:
    return image_transforms.build(name, settings)


def sample_rng(count: int, seed: int = 0) -> SampleRng:
    return SampleRng.of(seed, 0, list(range(count)))


def test_every_transform_is_tested_here() -> None:
    assert set(image_transforms) == {*FIXED, *RANDOM, *MIXING, "normalize"}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(FIXED))
def test_fixed_transforms_equal_torchvision_and_treat_one_image_as_a_batch(name: str, channels: int) -> None:
    settings, reference = FIXED[name]
    transform, batch = make(name, settings), picture(channels, count=3)
    result = transform.apply(batch)
    assert isinstance(transform, Transform)
    assert not transform.random
    assert result.dtype == torch.uint8
    assert torch.equal(result, reference(batch))
    assert torch.equal(result, torch.stack([transform.apply(image) for image in batch]))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(RANDOM))
def test_a_random_transform_gives_an_image_the_same_bits_in_any_batch(name: str, channels: int) -> None:
    transform, images = make(name, RANDOM[name]), picture(channels, 37, 29, count=60)
    assert isinstance(transform, BatchTransform)
    whole = transform.apply(images, sample_rng(60))
    assert whole.dtype == torch.uint8
    assert whole.shape[:2] == images.shape[:2]
    alone = torch.cat([transform.apply(images[i : i + 1], sample_rng(60)[i : i + 1]) for i in range(60)])
    assert torch.equal(whole, alone)
    reversed_rows = np.arange(59, -1, -1)
    assert torch.equal(transform.apply(images.flip(0), sample_rng(60)[reversed_rows]), whole.flip(0))
    assert not torch.equal(transform.apply(images, sample_rng(60, seed=1)), whole)
    assert torch.equal(images, picture(channels, 37, 29, count=60)), "the transform changed its input"


def test_wrong_settings_are_refused() -> None:
    for name, settings in (
        ("mixup", {"alpha": 0}),
        ("cutmix", {"alpha": -1}),
        ("color_jitter", {"hue": 0.6}),
        ("rand_augment", {"magnitude": 31}),
        ("random_erasing", {"scale": [0.4, 0.2]}),
        ("random_resized_crop", {"size": 8, "ratio": [0, 1]}),
        ("cutout", {"size": 0}),
    ):
        with pytest.raises(ValueError, match=r"at least|above|positive|whole number"):
            make(name, settings)


@pytest.mark.parametrize("name", sorted(RANDOM))
def test_transforms_can_be_sent_to_workers(name: str) -> None:
    transform, images = make(name, RANDOM[name]), picture(count=4)
    copy = pickle.loads(pickle.dumps(transform))
    assert torch.equal(copy.apply(images, sample_rng(4)), transform.apply(images, sample_rng(4)))


@pytest.mark.slow
def test_the_transforms_of_small_images_do_not_import_torchvision() -> None:
    program = (
        "import sys, torch, ptrun.transforms.pipeline; from ptrun import catalog;"
        "from ptrun.registry import image_transforms; from ptrun.rng import SampleRng;"
        "image_transforms.build('normalize', {});"
        "image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8); rng = SampleRng.of(0, 0, [0]);"
        "image_transforms.build('random_crop', {'padding': 2}).apply(image, rng);"
        "image_transforms.build('color_jitter', {}).apply(image, rng);"
        "image_transforms.build('horizontal_flip', {}).apply(image, rng); print('torchvision' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
