"""Fcn has the layers of its paper, for sequences of any length."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.errors import ConfigError
from ptrun.models.fcn import fcn
from ptrun.spec import DataSpec, Layout, Task


def make_spec(*shape: int, layout: Layout = Layout.SEQUENCE, num_outputs: int = 2) -> DataSpec:
    return DataSpec(layout=layout, task=Task.CLASSIFICATION, input_shape=shape, num_outputs=num_outputs)


@pytest.mark.parametrize(("steps", "features"), [(1, 1), (7, 3), (150, 1)])
def test_sequences_of_any_length_keep_it_until_the_mean(steps: int, features: int):
    model = fcn(make_spec(steps, features))
    sequences = torch.randn(4, steps, features)
    assert model.features(sequences.transpose(1, 2)).shape == (4, 128, steps)
    assert model(sequences).shape == (4, 2)


def test_number_of_weights_is_that_of_the_paper():
    convolutions = 8 * 1 * 128 + 5 * 128 * 256 + 3 * 256 * 128
    norms = 2 * (128 + 256 + 128)
    assert sum(p.numel() for p in fcn(make_spec(150, 1)).parameters()) == convolutions + norms + 128 * 2 + 2


def test_equals_same_padding_by_torch():
    torch.manual_seed(0)
    model = fcn(make_spec(20, 2), channels=[3], kernel_sizes=[5]).eval()
    reference = nn.Conv1d(2, 3, 5, padding="same", bias=False)
    reference.weight = model.features[1].weight
    sequences = torch.randn(4, 20, 2)
    maps = model.features[2](reference(sequences.transpose(1, 2))).relu()
    torch.testing.assert_close(model(sequences), model.head(maps.mean(2)))


def test_what_does_not_fit_is_told():
    with pytest.raises(ConfigError, match=r"model\.channels has 2 entries and model\.kernel_sizes 3, but every"):
        fcn(make_spec(10, 1), channels=[4, 4])
    with pytest.raises(ConfigError, match=r"model=fcn reads sequences, but the data set gives images"):
        fcn(make_spec(1, 8, 8, layout=Layout.IMAGE))
