"""Crops, flips, boxes, resizing and rotation, against torchvision."""

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
from ptrun.transforms import geometry

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


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_a_crop_is_a_window_of_the_padded_image(mode: str) -> None:
    image = picture()
    crops = make("random_crop", {"size": [18, 21], "padding": 4, "padding_mode": mode}).apply(
        image.expand(300, -1, -1, -1), sample_rng(300)
    )
    padded = functional.pad(image, [4], padding_mode=mode)
    windows = {padded[:, top : top + 18, left : left + 21].numpy().tobytes() for top in range(11) for left in range(4)}
    result = {crop.numpy().tobytes() for crop in crops}
    assert result <= windows
    assert len(result) > 0.9 * len(windows), "every place should be drawn sooner or later"


def test_a_crop_without_a_size_keeps_that_of_the_image() -> None:
    images = picture(1, 9, 13, count=10)
    shifted = make("random_crop", {"padding": 4}).apply(images, sample_rng(10))
    assert shifted.shape == images.shape
    assert not torch.equal(shifted, images)
    assert torch.equal(make("random_crop", {}).apply(images, sample_rng(10)), images)


@pytest.mark.parametrize(("name", "dimension"), [("horizontal_flip", -1), ("vertical_flip", -2)])
def test_a_flip_mirrors_the_given_share(name: str, dimension: int) -> None:
    images = picture(count=400)
    flipped = make(name, {"p": 0.25}).apply(images, sample_rng(400))
    mirrored = torch.tensor([torch.equal(a, b.flip(dimension)) for a, b in zip(flipped, images, strict=True)])
    unchanged = torch.tensor([torch.equal(a, b) for a, b in zip(flipped, images, strict=True)])
    assert torch.equal(mirrored, ~unchanged)
    assert 0.18 < mirrored.float().mean() < 0.32


def test_a_resized_crop_is_torchvisions_for_the_same_box() -> None:
    images = picture(3, 40, 30, count=8)
    boxes = geometry.random_boxes(sample_rng(8), 40, 30, (0.2, 1.0), (0.75, 1.3333))
    crops = make("random_resized_crop", {"size": 8, "scale": [0.2, 1.0]}).apply(images, sample_rng(8))
    for image, box, crop in zip(images, boxes.tolist(), crops, strict=True):
        assert box[2] > 0
        assert torch.equal(crop, functional.resized_crop(image, *box, [8, 8], antialias=True))


def test_random_boxes_have_the_given_areas_and_aspects() -> None:
    boxes = geometry.random_boxes(sample_rng(2000), 100, 200, (0.1, 0.4), (0.5, 2.0)).astype(float)
    top, left, height, width = boxes.T
    assert (height > 0).all()
    assert ((top + height <= 100) & (left + width <= 200)).all()
    assert ((height * width > 0.095 * 20_000) & (height * width < 0.42 * 20_000)).all()
    assert ((width / height > 0.48) & (width / height < 2.1)).all()
    assert np.isin(np.arange(10), top).all()
    assert not geometry.random_boxes(sample_rng(5), 10, 10, (1.0, 1.0), (3.0, 3.0)).any(), "none fits"
    whole = make("random_resized_crop", {"size": 6, "scale": [1.0, 1.0], "ratio": [3.0, 3.0]})
    image = picture(1, 12, 12, count=1)
    assert torch.equal(whole.apply(image, sample_rng(1))[0], functional.resized_crop(image[0], 4, 0, 4, 12, [6, 6]))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill", [0, 90])
def test_rotations_are_torchvisions(mode: str, fill: int) -> None:
    images = functional.gaussian_blur(picture(3, 40, 32, count=5), [7, 7])
    angles = np.array([-40.0, -3.0, 0.0, 12.5, 90.0])
    rotated = geometry.affine_warp(images, geometry.rotation_matrices(angles), mode, fill)
    interpolation = v2.InterpolationMode(mode)
    for image, angle, ours in zip(images, angles, rotated, strict=True):
        reference = functional.rotate(image, angle, interpolation, fill=[float(fill)])
        middle = (slice(None), slice(10, -10), slice(10, -10))  # torchvision blends the edge with the fill twice
        assert mean_error(ours[middle], reference[middle]) < 0.6
        assert mean_error(ours, reference) < 3
        assert abs(angle) < 10 or (ours == fill).all(0).float().mean() > 0.01
    assert torch.equal(rotated[2], images[2])


def test_resize_scales_the_shorter_side_or_both() -> None:
    assert make("resize", {"size": 8}).apply(picture()).shape == (3, 10, 8)
    assert make("resize", {"size": [5, 7]}).apply(picture()).shape == (3, 5, 7)
    enlarged = make("resize", {"size": 40, "interpolation": "nearest"}).apply(picture(1, 20, 20))
    assert torch.equal(enlarged[:, ::2, ::2], picture(1, 20, 20))
