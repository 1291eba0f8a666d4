"""Convnet adapts to the size and the channels of the images, and bounds its linear layer for large photos."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.errors import ConfigError
from ptrun.models.convnet import convnet
from ptrun.spec import DataSpec, Layout, Task


def make_spec(*shape: int, layout: Layout = Layout.IMAGE) -> DataSpec:
    return DataSpec(layout=layout, task=Task.CLASSIFICATION, input_shape=shape, num_outputs=10)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 1, 1), (2, 3, 50), (3, 75, 130), (4, 2, 1)])
def test_any_image_fits(shape):
    model = convnet(make_spec(*shape), channels=[4, 6], hidden_features=16)
    assert model(torch.randn(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(("size", "maps"), [(8, 2), (28, 7), (32, 8), (224, 8), (500, 8)])
def test_the_linear_layer_reads_a_small_map(size, maps):
    model = convnet(make_spec(1, size, size), channels=[2, 3], hidden_features=5)
    assert model.classifier[1].in_features == 3 * maps * maps


def test_equals_the_hand_written_network_bit_for_bit():
    torch.manual_seed(0)
    model = convnet(make_spec(1, 28, 28)).eval()
    torch.manual_seed(0)
    by_hand = nn.Sequential(
        nn.Conv2d(1, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128 * 7 * 7, 512),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(512, 10),
    ).eval()
    images = torch.randn(2, 1, 28, 28)
    assert torch.equal(model(images), by_hand(images))


def test_no_images_is_told_in_a_sentence():
    with pytest.raises(ConfigError, match=r"model=convnet reads images, but the data set gives sequences of shape"):
        convnet(make_spec(30, 1, layout=Layout.SEQUENCE))
