"""The operations of RandAugment are those of torchvision, and all of them are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ptrun import catalog
from ptrun.registry import image_transforms
from ptrun.rng import SampleRng
from ptrun.transforms import rand_augment

assert catalog.MODULES


def picture(channels: int = 3, height: int = 20, width: int = 16, count: int | None = None) -> Tensor:
    shape = (channels, height, width) if count is None else (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make(name: str, settings: dict[str, Any]) -> Any:
    return image_transforms.build(name, settings)


def sample_rng(count: int, seed: int = 0) -> SampleRng:
    return SampleRng.of(seed, 0, list(range(count)))


def mean_error(result: Tensor, expected: Tensor) -> float:
    return float((result.float() - expected.float()).abs().mean())


@pytest.mark.parametrize("magnitude", [0, 9, 30])
def test_the_operations_of_rand_augment_are_torchvisions(magnitude: int) -> None:
    reference, images = v2.RandAugment(magnitude=magnitude), functional.gaussian_blur(picture(3, 40, 32, 4), [5, 5])
    names = {"".join(part.capitalize() for part in name.split("_")): name for name in rand_augment.OPERATIONS}
    names = {{"Autocontrast": "AutoContrast"}.get(name, name): ours for name, ours in names.items()}
    assert names.keys() == reference._AUGMENTATION_SPACE.keys()
    for name, (strengths, signed) in reference._AUGMENTATION_SPACE.items():
        values = strengths(31, 40, 32)
        strength = 0.0 if values is None else float(values[magnitude])
        for sign in (1, -1) if signed else (1,):
            ours = rand_augment.OPERATIONS[names[name]](images, np.full(4, sign * magnitude / 30))
            theirs = reference._apply_image_or_video_transform(
                images, name, sign * strength, v2.InterpolationMode.NEAREST, {}
            )
            assert mean_error(ours, theirs) < 1.0, (name, sign)


def test_rand_augment_draws_each_operation() -> None:
    images = picture(3, 16, 16, count=1).expand(400, -1, -1, -1)
    changed = make("rand_augment", {"num_ops": 1, "magnitude": 15}).apply(images, sample_rng(400))
    assert len({image.numpy().tobytes() for image in changed}) >= 20  # 14 operations, 8 of them with a sign
    assert torch.equal(make("rand_augment", {"num_ops": 0}).apply(images, sample_rng(400)), images)
