from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from ptrun.registry import steps
from ptrun.steps import Normalize, Step

FIXED = {
    "resize": ({"size": 12}, v2.Resize([12], antialias=True)),
    "center_crop": ({"size": [10, 8]}, v2.CenterCrop([10, 8])),
    "pad": ({"padding": [1, 2], "fill": 9}, v2.Pad([1, 2], fill=9)),
    "grayscale": ({"channels": 3}, v2.Grayscale(3)),
}
RANDOM = {
    "random_crop": ({"size": 8, "padding": 2}, v2.RandomCrop(8, padding=2)),
    "random_resized_crop": (
        {"size": 8, "scale": [0.2, 1.0]},
        v2.RandomResizedCrop(8, scale=(0.2, 1.0), ratio=(0.75, 1.3333)),
    ),
    "horizontal_flip": ({}, v2.RandomHorizontalFlip()),
    "vertical_flip": ({}, v2.RandomVerticalFlip()),
    "rotation": ({"degrees": 40.0}, v2.RandomRotation(40.0, interpolation=v2.InterpolationMode.BILINEAR)),
    "color_jitter": ({"hue": 0.2}, v2.ColorJitter(0.4, 0.4, 0.4, 0.2)),
    "rand_augment": ({"num_ops": 3}, v2.RandAugment(3, 9)),
    "random_erasing": ({"fill": 7}, v2.RandomErasing(0.5, value=7)),
}


def picture(channels: int = 3, height: int = 20, width: int = 16, count: int | None = None) -> Tensor:
    shape = (channels, height, width) if count is None else (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make(name: str, settings: dict[str, Any]) -> Step:
    step = steps.build(name, settings)
    assert isinstance(step, Step)
    return step


def test_every_step_is_tested_here() -> None:
    assert set(steps) == {*FIXED, *RANDOM, "normalize"}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(FIXED))
def test_fixed_steps_equal_torchvision_and_treat_one_image_as_a_batch(name: str, channels: int) -> None:
    settings, reference = FIXED[name]
    step, batch = make(name, settings), picture(channels, count=3)
    result = step.apply(batch)
    assert not step.random
    assert result.dtype == torch.uint8
    assert torch.equal(result, reference(batch))
    assert torch.equal(result, torch.stack([step.apply(image) for image in batch]))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(RANDOM))
def test_random_steps_equal_torchvision_with_the_same_generator(name: str, channels: int) -> None:
    settings, reference = RANDOM[name]
    step, image = make(name, settings), picture(channels)
    assert step.random
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        mine = step.apply(image)
        torch.manual_seed(seed)
        assert torch.equal(mine, reference(image))
        assert mine.dtype == torch.uint8
        assert len(mine) == channels
        seen.add(mine.numpy().tobytes())
    assert len(seen) > 1


def test_a_crop_without_a_size_keeps_that_of_the_image() -> None:
    image, step = picture(1, 9, 13), make("random_crop", {"padding": 4})
    shifted = [step.apply(image) for _ in range(10)]
    assert all(each.shape == image.shape for each in shifted)
    assert any(not torch.equal(each, image) for each in shifted)
    assert torch.equal(make("random_crop", {}).apply(image), image)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_crops_of_any_padding_equal_torchvision(mode: str) -> None:
    step = make("random_crop", {"size": [18, 21], "padding": 4, "padding_mode": mode})
    reference = v2.RandomCrop([18, 21], padding=4, padding_mode=mode)
    for seed in range(5):
        torch.manual_seed(seed)
        mine = step.apply(picture())
        torch.manual_seed(seed)
        assert torch.equal(mine, reference(picture()))


def test_colour_has_no_effect_on_grey_images() -> None:
    image = picture(1)
    step = make("color_jitter", {"brightness": 0.0, "contrast": 0.0, "saturation": 0.9, "hue": 0.5})
    assert torch.equal(step.apply(image), image)
    brighter = make("color_jitter", {"brightness": 0.9, "contrast": 0.0, "saturation": 0.0})
    assert not torch.equal(brighter.apply(image), image)


def test_resize_scales_the_shorter_side_or_both() -> None:
    assert make("resize", {"size": 8}).apply(picture()).shape == (3, 10, 8)
    assert make("resize", {"size": [5, 7]}).apply(picture()).shape == (3, 5, 7)
    nearest = make("resize", {"size": 40, "interpolation": "nearest"}).apply(picture(1, 20, 20))
    assert torch.equal(nearest[:, ::2, ::2], picture(1, 20, 20))


@pytest.mark.parametrize("name", sorted({**FIXED, **RANDOM}))
def test_steps_can_be_sent_to_workers(name: str) -> None:
    settings, _ = {**FIXED, **RANDOM}[name]
    step = make(name, settings)
    copy = pickle.loads(pickle.dumps(step))
    torch.manual_seed(0)
    expected = step.apply(picture())
    torch.manual_seed(0)
    assert torch.equal(copy.apply(picture()), expected)


def test_normalize_is_plain_numbers() -> None:
    assert steps.build("normalize", {"mean": "imagenet"}) == Normalize("imagenet", "computed")


def test_the_steps_of_small_images_do_not_import_torchvision() -> None:
    program = (
        "import sys, torch, ptrun.transforms; from ptrun.registry import steps; steps.build('normalize', {});"
        "image = torch.zeros(1, 8, 8, dtype=torch.uint8); steps.build('random_crop', {'padding': 2}).apply(image);"
        "steps.build('horizontal_flip', {}).apply(image); print('torchvision' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
