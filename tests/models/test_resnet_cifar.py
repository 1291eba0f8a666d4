"""Resnet_cifar has the depths and the numbers of weights of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.errors import ConfigError
from ptrun.models.resnet_cifar import BasicBlock, resnet_cifar
from ptrun.spec import DataSpec, Layout, Task


def make_spec(*shape: int, layout: Layout = Layout.IMAGE) -> DataSpec:
    return DataSpec(layout=layout, task=Task.CLASSIFICATION, input_shape=shape, num_outputs=10)


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_weights_are_those_of_table_6(depth: int, millions: float):
    model = resnet_cifar(make_spec(3, 32, 32), depth=depth)
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert round(weights / 1e6, 1 if depth == 110 else 2) == millions
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules()) == depth


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (2, 7, 5), (1, 1, 1)])
def test_any_image_fits(shape: tuple[int, ...]):
    assert resnet_cifar(make_spec(*shape), depth=8, width=4)(torch.randn(2, *shape)).shape == (2, 10)


def test_a_shortcut_takes_every_other_pixel_and_adds_empty_channels():
    block = BasicBlock(2, 4, 2).eval()
    nn.init.zeros_(block.norm2.weight)
    maps = torch.rand(3, 2, 6, 6)
    expected = torch.zeros(3, 4, 3, 3)
    expected[:, :2] = maps[:, :, ::2, ::2]
    assert torch.equal(block(maps), expected)


def test_the_empty_channels_can_be_put_on_both_sides():
    block = BasicBlock(2, 4, 2, "both").eval()
    nn.init.zeros_(block.norm2.weight)
    maps = torch.rand(3, 2, 6, 6)
    expected = torch.zeros(3, 4, 3, 3)
    expected[:, 1:3] = maps[:, :, ::2, ::2]
    assert torch.equal(block(maps), expected)


def test_without_shortcuts_it_is_a_plain_network_of_the_same_weights():
    block = BasicBlock(2, 2, 1, has_shortcut=False).eval()
    nn.init.zeros_(block.norm2.weight)
    assert not block(torch.rand(3, 2, 6, 6)).any()
    networks = [resnet_cifar(make_spec(3, 32, 32), depth=20, shortcuts=shortcuts) for shortcuts in (True, False)]
    first, second = ({name: value.shape for name, value in network.state_dict().items()} for network in networks)
    assert first == second


@pytest.mark.parametrize(("depth", "words"), [(18, "Use 14 or 20"), (21, "Use 20 or 26"), (2, "Use 8;")])
def test_another_depth_is_told(depth: int, words: str):
    with pytest.raises(ConfigError, match=rf"model\.depth={depth} is not 6n \+ 2.*{words}"):
        resnet_cifar(make_spec(3, 32, 32), depth=depth)


def test_no_images_is_told_in_a_sentence():
    with pytest.raises(ConfigError, match=r"model=resnet_cifar reads images, but the data set gives sequences"):
        resnet_cifar(make_spec(30, 1, layout=Layout.SEQUENCE))
