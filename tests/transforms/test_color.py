"""Colors change as torchvision changes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from ptrun import catalog
from ptrun.registry import image_transforms
from ptrun.rng import SampleRng
from ptrun.transforms import color, rand_augment
from ptrun.transforms.transform import Normalize

assert catalog.MODULES


def picture(channels: int = 3, height: int = 20, width: int = 16, count: int | None = None) -> Tensor:
    shape = (channels, height, width) if count is None else (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make(name: str, settings: dict[str, Any]) -> Any:
    return image_transforms.build(name, settings)


def sample_rng(count: int, seed: int = 0) -> SampleRng:
    return SampleRng.of(seed, 0, list(range(count)))


@pytest.mark.parametrize("channels", [1, 3])
def test_colors_change_as_torchvisions_do(channels: int) -> None:
    images, factors = picture(channels, count=4), np.array([0.0, 0.6, 1.0, 1.7])
    pairs = [
        (color.adjust_brightness, functional.adjust_brightness),
        (color.adjust_contrast, functional.adjust_contrast),
        (color.adjust_saturation, functional.adjust_saturation),
        (rand_augment.adjust_sharpness, functional.adjust_sharpness),
    ]
    for ours, reference in pairs:
        result = ours(images, factors)
        for image, factor, adjusted in zip(images, factors, result, strict=True):
            assert (adjusted.int() - reference(image, factor).int()).abs().max() <= 2, ours.__name__
        assert torch.equal(result[2], images[2])
    shares = np.array([-0.5, -0.1, 0.0, 0.3])
    for image, share, adjusted in zip(images, shares, color.adjust_hue(images, shares), strict=True):
        assert (adjusted.int() - functional.adjust_hue(image, share).int()).abs().max() <= 2


def test_color_has_no_effect_on_gray_images() -> None:
    images = picture(1, count=4)
    transform = make("color_jitter", {"brightness": 0.0, "contrast": 0.0, "saturation": 0.9, "hue": 0.5})
    assert torch.equal(transform.apply(images, sample_rng(4)), images)
    brighter = make("color_jitter", {"brightness": 0.9, "contrast": 0.0, "saturation": 0.0})
    assert not torch.equal(brighter.apply(images, sample_rng(4)), images)


def test_normalize_is_plain_numbers() -> None:
    assert image_transforms.build("normalize", {"mean": "imagenet"}) == Normalize("imagenet", "computed")
