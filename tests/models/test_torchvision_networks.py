"""Every torchvision classifier is built for every image size; other names are refused with the nearest classifier."""

from __future__ import annotations

import pytest
import torch
import torchvision

from ptrun.errors import ConfigError
from ptrun.models.torchvision_networks import ImageInput, build_network, input_size, require_classifier

SMALL = ("alexnet", "googlenet", "inception_v3", "maxvit_t", "resnet18", "squeezenet1_0", "swin_t", "vit_b_32")
# Regnet draws its initial weights in a way that the shape-only device can't; the rest of it is a resnet.
ALL = [n for n in torchvision.models.list_models(module=torchvision.models) if not n.startswith("regnet")]


def check_shapes(arch: str, image_size: tuple[int, int]) -> None:
    with torch.device("meta"):  # shapes without numbers: no memory, no time
        size = input_size(arch, "auto", False, image_size)
        network, head = build_network(arch, 7, size, pretrained=False)
        outputs = network.train()(ImageInput(size)(torch.empty(1, 1, *image_size)))
    assert outputs.shape == (1, 7)
    assert network.get_submodule(head).weight.shape[0] == 7


@pytest.mark.parametrize("image_size", [(8, 8), (28, 28), (32, 20), (224, 224)])
@pytest.mark.parametrize("arch", SMALL)
def test_classifier_reads_images_of_any_size_even_one_at_a_time(arch, image_size):
    check_shapes(arch, image_size)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ALL)
def test_every_classifier_reads_digits_and_photos(arch):
    check_shapes(arch, (8, 8))
    check_shapes(arch, (224, 224))


def test_regnet_reads_digits():
    network, head = build_network("regnet_y_400mf", 7, (64, 64), pretrained=False)
    assert head == "fc"
    assert network.train()(torch.randn(1, 3, 64, 64)).shape == (1, 7)


@pytest.mark.parametrize(
    ("arch", "setting", "trained", "image", "expected"),
    [
        ("resnet18", "auto", True, (8, 8), (64, 64)),
        ("resnet18", "auto", True, (20, 32), (64, 103)),
        ("resnet18", "auto", True, (300, 200), (300, 200)),
        ("resnet18", None, True, (8, 8), (8, 8)),
        ("resnet18", 96, True, (300, 200), (96, 96)),
        ("vit_b_16", "auto", False, (8, 8), (64, 64)),
        ("vit_b_16", "auto", False, (100, 90), (112, 112)),
        ("vit_b_16", "auto", False, (500, 500), (224, 224)),
        ("vit_b_16", "auto", True, (8, 8), (224, 224)),
    ],
)
def test_image_size(arch, setting, trained, image, expected):
    assert input_size(arch, setting, trained, image) == expected


def test_a_size_that_patches_do_not_fit_is_refused():
    with pytest.raises(ConfigError, match="vit_b_16 reads square images whose side is a multiple of 16, not 100x100"):
        input_size("vit_b_16", 100, False, (8, 8))


@pytest.mark.parametrize(
    ("arch", "sentence"),
    [
        ("resnet5", "no classifier 'resnet5'. Did you mean 'resnet50'?"),
        ("fasterrcnn_resnet50_fpn", "it finds boxes in an image. The nearest classifier is 'resnet50'"),
        ("deeplabv3_mobilenet_v3_large", "labels every pixel. The nearest classifier is 'mobilenet_v3_large'"),
        ("r3d_18", "reads video clips. The nearest classifier is 'resnet18'"),
        ("quantized_resnet18", "is quantized for inference and can't be trained. The nearest classifier is 'resnet18'"),
    ],
)
def test_what_is_not_a_classifier_is_answered_with_the_nearest_one(arch, sentence):
    with pytest.raises(ConfigError) as caught:
        require_classifier(arch)
    assert sentence in str(caught.value)


def test_gray_images_become_three_equal_channels_and_are_enlarged():
    images = torch.rand(2, 1, 8, 8)
    outputs = ImageInput((16, 16))(images)
    assert outputs.shape == (2, 3, 16, 16)
    assert torch.equal(outputs[:, 0], outputs[:, 2])
    assert torch.equal(ImageInput((8, 8))(images)[:, 1], images[:, 0])


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = (torch.arange(64) % 2).float().expand(1, 1, 64, 64)
    assert (ImageInput((8, 8))(stripes) - 0.5).abs().max() < 0.1
