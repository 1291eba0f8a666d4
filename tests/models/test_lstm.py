"""Lstm predicts from its state after the whole sequence, in both directions."""

from __future__ import annotations

import pytest
import torch

from ptrun.errors import ConfigError
from ptrun.models.lstm import Lstm, lstm
from ptrun.spec import DataSpec, Layout, Task


def make_spec(**changes) -> DataSpec:
    facts = {"layout": Layout.SEQUENCE, "task": Task.REGRESSION, "input_shape": (9, 2), "num_outputs": 1}
    return DataSpec(**{**facts, **changes})


@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "dropout": 0.5}, {"bidirectional": True}])
def test_shape(settings):
    assert lstm(make_spec(num_outputs=6), **settings)(torch.randn(4, 9, 2)).shape == (4, 6)


def test_one_direction_reads_the_output_of_the_last_step():
    model = Lstm(2, 3, hidden_features=8, num_layers=2).eval()
    sequences = torch.randn(4, 9, 2)
    steps, _ = model.lstm(sequences)
    torch.testing.assert_close(model(sequences), model.head(steps[:, -1]))


def test_two_directions_each_read_everything():
    model = Lstm(2, 3, hidden_features=8, num_layers=2, bidirectional=True).eval()
    sequences = torch.randn(4, 9, 2)
    steps, _ = model.lstm(sequences)
    final = torch.cat([steps[:, -1, :8], steps[:, 0, 8:]], dim=1)
    torch.testing.assert_close(model(sequences), model.head(final))


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    model = Lstm(2, 3, num_layers=1, dropout=0.5)
    sequences = torch.randn(4, 9, 2)
    assert not torch.equal(model(sequences), model(sequences))
    model.eval()
    assert torch.equal(model(sequences), model(sequences))


def test_images_are_told_in_a_sentence():
    with pytest.raises(
        ConfigError, match=r"model=lstm reads sequences, but the data set gives images of shape \[1, 8, 8\]"
    ):
        lstm(make_spec(layout=Layout.IMAGE, input_shape=(1, 8, 8)))
