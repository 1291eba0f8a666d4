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
from torchvision.transforms.v2 import functional

from ptrun import catalog
from ptrun.registry import image_transforms
from ptrun.rng import SampleRng
from ptrun.transforms import color, geometry, rand_augment
from ptrun.transforms.transform import BatchTransform, MixTransform, Normalize, Transform

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


def draws(count: int, seed: int = 0) -> SampleRng:
    return SampleRng.of(seed, 0, list(range(count)))


def mean_error(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected.float()).abs().mean())


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
    whole = transform.apply(images, draws(60))
    assert whole.dtype == torch.uint8
    assert whole.shape[:2] == images.shape[:2]
    alone = torch.cat([transform.apply(images[i : i + 1], draws(60)[i : i + 1]) for i in range(60)])
    assert torch.equal(whole, alone)
    reversed_rows = np.arange(59, -1, -1)
    assert torch.equal(transform.apply(images.flip(0), draws(60)[reversed_rows]), whole.flip(0))
    assert not torch.equal(transform.apply(images, draws(60, seed=1)), whole)
    assert torch.equal(images, picture(channels, 37, 29, count=60)), "the transform changed its input"


def test_draws_are_uniform_and_addressed() -> None:
    numbers = SampleRng.of(3, 5, range(20_000)).uniforms(4)
    assert numbers.mean(axis=0) == pytest.approx([0.5] * 4, abs=0.01)
    assert numbers.var(axis=0) == pytest.approx([1 / 12] * 4, abs=0.002)
    assert np.abs(np.corrcoef(numbers.T) - np.eye(4)).max() < 0.03
    assert np.abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.03
    one = SampleRng.of(3, 5, [7])
    assert [one.uniform()[0], one.uniform()[0]] == numbers[7, :2].tolist()
    assert SampleRng.of(3, 6, [7]).uniform() != numbers[7, 0]
    assert SampleRng.of(4, 5, [7]).uniform() != numbers[7, 0]
    assert SampleRng.of(3, 5, [7]).fork(0).uniform() != SampleRng.of(3, 5, [7]).fork(1).uniform()
    whole = SampleRng.of(0, 0, range(6000)).integers(2, 4)
    assert np.bincount(whole).tolist()[2:] == pytest.approx([2000] * 3, rel=0.1)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_a_crop_is_a_window_of_the_padded_image(mode: str) -> None:
    image = picture()
    crops = make("random_crop", {"size": [18, 21], "padding": 4, "padding_mode": mode}).apply(
        image.expand(300, -1, -1, -1), draws(300)
    )
    padded = functional.pad(image, [4], padding_mode=mode)
    windows = {padded[:, top : top + 18, left : left + 21].numpy().tobytes() for top in range(11) for left in range(4)}
    found = {crop.numpy().tobytes() for crop in crops}
    assert found <= windows
    assert len(found) > 0.9 * len(windows), "every place should be drawn sooner or later"


def test_a_crop_without_a_size_keeps_that_of_the_image() -> None:
    images = picture(1, 9, 13, count=10)
    shifted = make("random_crop", {"padding": 4}).apply(images, draws(10))
    assert shifted.shape == images.shape
    assert not torch.equal(shifted, images)
    assert torch.equal(make("random_crop", {}).apply(images, draws(10)), images)


@pytest.mark.parametrize(("name", "dimension"), [("horizontal_flip", -1), ("vertical_flip", -2)])
def test_a_flip_mirrors_the_asked_share(name: str, dimension: int) -> None:
    images = picture(count=400)
    flipped = make(name, {"p": 0.25}).apply(images, draws(400))
    mirrored = torch.tensor([torch.equal(a, b.flip(dimension)) for a, b in zip(flipped, images, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(flipped, images, strict=True)])
    assert torch.equal(mirrored, ~kept)
    assert 0.18 < mirrored.float().mean() < 0.32


def test_a_resized_crop_is_torchvisions_for_the_same_box() -> None:
    images = picture(3, 40, 30, count=8)
    boxes = geometry.rectangles(draws(8), 40, 30, (0.2, 1.0), (0.75, 1.3333))
    crops = make("random_resized_crop", {"size": 8, "scale": [0.2, 1.0]}).apply(images, draws(8))
    for image, box, crop in zip(images, boxes.tolist(), crops, strict=True):
        assert box[2] > 0
        assert torch.equal(crop, functional.resized_crop(image, *box, [8, 8], antialias=True))


def test_random_boxes_have_the_asked_areas_and_aspects() -> None:
    boxes = geometry.rectangles(draws(2000), 100, 200, (0.1, 0.4), (0.5, 2.0)).astype(float)
    top, left, height, width = boxes.T
    assert (height > 0).all()
    assert ((top + height <= 100) & (left + width <= 200)).all()
    assert ((height * width > 0.095 * 20_000) & (height * width < 0.42 * 20_000)).all()
    assert ((width / height > 0.48) & (width / height < 2.1)).all()
    assert np.isin(np.arange(10), top).all()
    assert not geometry.rectangles(draws(5), 10, 10, (1.0, 1.0), (3.0, 3.0)).any(), "none fits"
    whole = make("random_resized_crop", {"size": 6, "scale": [1.0, 1.0], "ratio": [3.0, 3.0]})
    image = picture(1, 12, 12, count=1)
    assert torch.equal(whole.apply(image, draws(1))[0], functional.resized_crop(image[0], 4, 0, 4, 12, [6, 6]))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill", [0, 90])
def test_rotations_are_torchvisions(mode: str, fill: int) -> None:
    images = functional.gaussian_blur(picture(3, 40, 32, count=5), [7, 7])
    angles = np.array([-40.0, -3.0, 0.0, 12.5, 90.0])
    turned = geometry.warp(images, geometry.turned(angles), mode, fill)
    interpolation = v2.InterpolationMode(mode)
    for image, angle, mine in zip(images, angles, turned, strict=True):
        reference = functional.rotate(image, angle, interpolation, fill=[float(fill)])
        middle = (slice(None), slice(10, -10), slice(10, -10))  # torchvision blends the edge with the fill twice
        assert mean_error(mine[middle], reference[middle]) < 0.6
        assert mean_error(mine, reference) < 3
        assert abs(angle) < 10 or (mine == fill).all(0).float().mean() > 0.01
    assert torch.equal(turned[2], images[2])


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_change_as_torchvisions_do(channels: int) -> None:
    images, factors = picture(channels, count=4), np.array([0.0, 0.6, 1.0, 1.7])
    pairs = [
        (color.brighter, functional.adjust_brightness),
        (color.contrasted, functional.adjust_contrast),
        (color.coloured, functional.adjust_saturation),
        (rand_augment.sharpened, functional.adjust_sharpness),
    ]
    for mine, reference in pairs:
        found = mine(images, factors)
        for image, factor, one in zip(images, factors, found, strict=True):
            assert (one.int() - reference(image, factor).int()).abs().max() <= 2, mine.__name__
        assert torch.equal(found[2], images[2])
    shares = np.array([-0.5, -0.1, 0.0, 0.3])
    for image, share, one in zip(images, shares, color.hue_turned(images, shares), strict=True):
        assert (one.int() - functional.adjust_hue(image, share).int()).abs().max() <= 2


def test_colour_has_no_effect_on_grey_images() -> None:
    images = picture(1, count=4)
    transform = make("color_jitter", {"brightness": 0.0, "contrast": 0.0, "saturation": 0.9, "hue": 0.5})
    assert torch.equal(transform.apply(images, draws(4)), images)
    brighter = make("color_jitter", {"brightness": 0.9, "contrast": 0.0, "saturation": 0.0})
    assert not torch.equal(brighter.apply(images, draws(4)), images)


@pytest.mark.parametrize("magnitude", [0, 9, 30])
def test_the_changes_of_rand_augment_are_torchvisions(magnitude: int) -> None:
    reference, images = v2.RandAugment(magnitude=magnitude), functional.gaussian_blur(picture(3, 40, 32, 4), [5, 5])
    names = {"".join(part.capitalize() for part in name.split("_")): name for name in rand_augment.CHANGES}
    names = {{"Autocontrast": "AutoContrast"}.get(name, name): ours for name, ours in names.items()}
    assert names.keys() == reference._AUGMENTATION_SPACE.keys()
    for name, (strengths, signed) in reference._AUGMENTATION_SPACE.items():
        values = strengths(31, 40, 32)
        strength = 0.0 if values is None else float(values[magnitude])
        for sign in (1, -1) if signed else (1,):
            mine = rand_augment.CHANGES[names[name]](images, np.full(4, sign * magnitude / 30))
            theirs = reference._apply_image_or_video_transform(
                images, name, sign * strength, v2.InterpolationMode.NEAREST, {}
            )
            assert mean_error(mine, theirs) < 1.0, (name, sign)


def test_rand_augment_draws_each_change() -> None:
    images = picture(3, 16, 16, count=1).expand(400, -1, -1, -1)
    changed = make("rand_augment", {"num_ops": 1, "magnitude": 15}).apply(images, draws(400))
    assert len({image.numpy().tobytes() for image in changed}) >= 20  # 14 changes, 8 of them with a sign
    assert torch.equal(make("rand_augment", {"num_ops": 0}).apply(images, draws(400)), images)


def test_erasing_paints_one_box_over() -> None:
    images = picture(count=500, height=30, width=30) | 1
    erased = make("random_erasing", {"p": 0.3, "scale": [0.1, 0.2], "fill": 0}).apply(images, draws(500))
    share = (erased == 0).all(1).float().mean((1, 2))
    hit = share > 0
    assert 0.22 < hit.float().mean() < 0.38
    assert ((share[hit] > 0.08) & (share[hit] < 0.22)).all()
    for before, after in zip(images[hit], erased[hit], strict=True):
        rows, columns = (after[0] == 0).nonzero(as_tuple=True)
        box = after[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box == 0).all()
        assert torch.equal(after[after != 0], before[after != 0])


def test_cutout_paints_a_square_that_may_reach_over_the_edge() -> None:
    images = picture(count=500, height=20, width=20) | 1
    share = (make("cutout", {"size": 6, "p": 0.5}).apply(images, draws(500)) == 0).all(1).sum((1, 2))
    assert 0.4 < (share > 0).float().mean() < 0.6
    assert share.max() == 36
    assert ((share > 0) & (share < 36)).any()


def plans(name: str, settings: dict[str, Any], count: int = 4000) -> Any:
    transform = make(name, settings)
    assert isinstance(transform, MixTransform)
    return transform.plan(draws(count), 32, 24)


def test_mixup_draws_its_weights_from_the_beta_distribution() -> None:
    even, strong, never = (plans("mixup", settings)[0] for settings in ({"alpha": 1.0}, {"alpha": 0.1}, {"p": 0.0}))
    assert even.mean() == pytest.approx(0.5, abs=0.02)
    assert even.var() == pytest.approx(1 / 12, abs=0.004)
    assert strong.var() == pytest.approx(1 / (4 * 1.2), abs=0.01)
    assert (never == 1).all()


def test_cutmix_weighs_targets_by_the_pasted_area() -> None:
    weight, own, top, bottom, left, right = plans("cutmix", {"p": 0.5})
    assert (own == 1).all()
    assert weight == pytest.approx(1 - (bottom - top) * (right - left) / (32 * 24))
    assert 0.4 < (weight < 1).mean() < 0.55
    assert ((top >= 0) & (bottom <= 32) & (left >= 0) & (right <= 24)).all()


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


def test_resize_scales_the_shorter_side_or_both() -> None:
    assert make("resize", {"size": 8}).apply(picture()).shape == (3, 10, 8)
    assert make("resize", {"size": [5, 7]}).apply(picture()).shape == (3, 5, 7)
    did_you_mean = make("resize", {"size": 40, "interpolation": "nearest"}).apply(picture(1, 20, 20))
    assert torch.equal(did_you_mean[:, ::2, ::2], picture(1, 20, 20))


@pytest.mark.parametrize("name", sorted(RANDOM))
def test_transforms_can_be_sent_to_workers(name: str) -> None:
    transform, images = make(name, RANDOM[name]), picture(count=4)
    copy = pickle.loads(pickle.dumps(transform))
    assert torch.equal(copy.apply(images, draws(4)), transform.apply(images, draws(4)))


def test_normalize_is_plain_numbers() -> None:
    assert image_transforms.build("normalize", {"mean": "imagenet"}) == Normalize("imagenet", "computed")


def test_the_transforms_of_small_images_do_not_import_torchvision() -> None:
    program = (
        "import sys, torch, ptrun.transforms.pipeline; from ptrun import catalog; from ptrun.registry import image_transforms; from ptrun.rng import SampleRng;"
        "image_transforms.build('normalize', {}); image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8); draws = SampleRng.of(0, 0, [0]);"
        "image_transforms.build('random_crop', {'padding': 2}).apply(image, draws); image_transforms.build('color_jitter', {}).apply(image, draws);"
        "image_transforms.build('horizontal_flip', {}).apply(image, draws); print('torchvision' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
