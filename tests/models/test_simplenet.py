"""Simplenet is a fully connected network, on inputs of any layout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.models.regularized import regularized
from ptrun.models.simplenet import simplenet
from ptrun.spec import DataSpec, Layout, Task

LAYOUTS = [(Layout.IMAGE, (3, 5, 4)), (Layout.VECTOR, (7,)), (Layout.SEQUENCE, (6, 2))]


def make_spec(layout: Layout, shape: tuple[int, ...]) -> DataSpec:
    return DataSpec(layout=layout, task=Task.CLASSIFICATION, input_shape=shape, num_outputs=4)


@pytest.mark.parametrize(("layout", "shape"), LAYOUTS)
@pytest.mark.parametrize("build", [simplenet, regularized])
def test_every_layout_is_flattened(build, layout, shape):
    model = build(make_spec(layout, shape), hidden_features=[8, 5])
    assert model(torch.randn(3, *shape)).shape == (3, 4)


def test_equals_the_hand_written_network_bit_for_bit():
    torch.manual_seed(0)
    model = simplenet(make_spec(Layout.IMAGE, (1, 8, 8)), hidden_features=[16])
    torch.manual_seed(0)
    by_hand = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))
    images = torch.randn(5, 1, 8, 8)
    assert torch.equal(model(images), by_hand(images))


def test_no_hidden_layer_is_a_linear_model():
    model = simplenet(make_spec(Layout.VECTOR, (7,)), hidden_features=[])
    a, b = torch.randn(2, 7), torch.randn(2, 7)
    zero = model(torch.zeros(2, 7))
    torch.testing.assert_close(model(a + b) - zero, (model(a) - zero) + (model(b) - zero))
