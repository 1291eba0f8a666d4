"""Resnet_table has the blocks of its paper, and optionally periodic features."""

from __future__ import annotations

import math

import pytest
import torch

from ptrun.errors import ConfigError
from ptrun.models.resnet_table import PeriodicFeatures, ResidualBlock, TableInputs, resnet_table
from ptrun.spec import DataSpec, Layout, Task


def make_spec(num_features: int, binary: tuple[int, ...] = (), layout: Layout = Layout.VECTOR) -> DataSpec:
    return DataSpec(
        layout=layout,
        task=Task.CLASSIFICATION,
        input_shape=(num_features,),
        num_outputs=3,
        binary_features=binary,
    )


def weights_of(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_number_of_weights():
    block = 2 * 16 + (16 * 32 + 32) + (32 * 16 + 16)
    assert weights_of(resnet_table(make_spec(5), width=16)) == (5 * 16 + 16) + 2 * block + 2 * 16 + (16 * 3 + 3)
    periodic = 3 * 8 + 3 * (2 * 8 * 4 + 4)  # of the three numbers; two entries are marks
    model = resnet_table(make_spec(5, (1, 4)), width=16, num_frequencies=8, frequency_features=4)
    assert weights_of(model) == periodic + ((3 * 4 + 2) * 16 + 16) + 2 * block + 2 * 16 + (16 * 3 + 3)


def test_a_block_adds_to_its_input():
    block = ResidualBlock(6, 12, dropout=0.0, residual_dropout=0.0)
    torch.nn.init.zeros_(block.layers[4].weight)
    torch.nn.init.zeros_(block.layers[4].bias)
    inputs = torch.randn(5, 6)
    assert torch.equal(block(inputs), inputs)


def test_periodic_features_are_those_of_the_formula():
    layer = PeriodicFeatures(2, 3, 4, frequency_scale=0.5)
    numbers = torch.randn(5, 2)
    expected = []
    for column in range(2):
        angles = 2 * math.pi * numbers[:, column, None] * layer.frequencies[column]
        waves = torch.cat([angles.sin(), angles.cos()], 1)
        expected.append((waves @ layer.weight[column] + layer.bias[column]).relu())
    torch.testing.assert_close(layer(numbers), torch.cat(expected, 1))


def test_marks_stay_as_they_are_and_numbers_do_not():
    inputs = TableInputs(4, (0, 2), PeriodicFeatures(2, 3, 5, 0.1))
    vectors = torch.tensor([[1.0, 0.3, 0.0, -2.0], [0.0, 1.5, 1.0, 4.0]])
    seen = inputs(vectors)
    assert seen.shape == (2, 2 * 5 + 2)
    assert torch.equal(seen[:, -2:], vectors[:, [0, 2]])
    assert torch.equal(seen[:, :10], inputs.periodic(vectors[:, [1, 3]]))


def test_a_table_of_categories_only_has_no_sines():
    model = resnet_table(make_spec(2, (0, 1)), num_frequencies=8)
    assert model(torch.eye(2)).shape == (2, 3)
    assert not any(isinstance(module, PeriodicFeatures) for module in model.modules())


def test_a_row_does_not_depend_on_its_batch_in_eval_mode():
    model = resnet_table(make_spec(5, (4,)), num_frequencies=4, residual_dropout=0.3).eval()
    rows = torch.randn(6, 5)
    torch.testing.assert_close(model(rows)[:1], model(rows[:1]))


def test_no_table_is_told_in_a_sentence():
    with pytest.raises(ConfigError, match=r"model=resnet_table reads rows of features, but the data set gives images"):
        resnet_table(make_spec(5, layout=Layout.IMAGE))
