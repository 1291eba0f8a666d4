"""Patches are those of the paper, the newest time steps are among them, and impossible settings are refused."""

from __future__ import annotations

import pytest
import torch
from support import forecast_spec

from ptrun.errors import ConfigError
from ptrun.models.patch_transformer import patch_count, patch_transformer


@pytest.mark.parametrize(
    ("num_steps", "length", "stride", "count"), [(336, 16, 8, 42), (512, 16, 8, 64), (40, 16, 16, 3), (16, 16, 16, 2)]
)
def test_patches_are_as_many_as_in_the_paper(num_steps, length, stride, count):
    assert patch_count(num_steps, length, stride) == count
    model = patch_transformer(
        forecast_spec(input_shape=(num_steps, 3)), patch_length=length, patch_stride=stride, instance_norm=False
    )
    assert model.patches(torch.randn(2, 2, num_steps)).shape == (4, count, length)
    assert model(torch.randn(2, num_steps, 3)).shape == (2, 6)


def test_patches_are_stretches_of_one_column_and_the_last_value_is_repeated():
    model = patch_transformer(forecast_spec(input_shape=(8, 3)), patch_length=4, patch_stride=2, instance_norm=False)
    series = torch.arange(16.0).view(1, 2, 8)
    patches = model.patches(series)
    assert patches[0].tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 7, 7]]
    assert patches[1].tolist() == [[8, 9, 10, 11], [10, 11, 12, 13], [12, 13, 14, 15], [14, 15, 15, 15]]


def test_every_step_counts():
    torch.manual_seed(0)
    model = patch_transformer(forecast_spec(), patch_length=7, patch_stride=5, instance_norm=False).eval()
    window = torch.randn(1, 40, 3, requires_grad=True)
    model(window)[:, 0].sum().backward()
    assert bool((window.grad[0, :, 1] != 0).all())


def test_attention_weights_are_not_dropped():
    model = patch_transformer(forecast_spec(), dropout=0.5)
    assert {block.self_attn.dropout for block in model.model.encoder.layers} == {0.0}
    assert {block.dropout.p for block in model.model.encoder.layers} == {0.5}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"patch_length": 41}, r"patch_length is 41, but dataset\.window gives only 40 time steps"),
        ({"patch_stride": 17}, "patch_stride is 17, which leaves out time steps between patches of 16"),
        ({"width": 10}, r"num_heads=4 does not divide model\.width=10"),
    ],
)
def test_settings_that_can_not_work_are_told(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        patch_transformer(forecast_spec(), **settings)
