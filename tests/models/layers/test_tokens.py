"""Tokens: each layout is cut in the right places, padding is ignored, and the class token attends to everything."""

from __future__ import annotations

import math

import pytest
import torch

from ptrun.errors import ConfigError
from ptrun.models.attention import attention
from ptrun.models.layers.tokens import (
    ColumnTokens,
    PatchTokens,
    TimeStepTokens,
    Tokens,
    auto_patch_size,
    pool,
    resolve_pooling,
    sinusoids,
)
from ptrun.spec import DataSpec, Layout, Task


@pytest.mark.parametrize(("side", "patch"), [(1, 1), (2, 1), (4, 2), (8, 2), (28, 4), (32, 4), (64, 8), (224, 16)])
def test_patches_are_about_the_square_root_of_the_side(side, patch):
    assert auto_patch_size(side, side) == patch


def test_a_patch_token_is_the_linear_map_of_its_pixels():
    embed = PatchTokens((2, 4, 6), patch_size=2, width=5)
    images = torch.randn(3, 2, 4, 6)
    tokens = embed(images)
    assert tokens.shape == (3, 6, 5) == (3, embed.num_tokens, 5)
    row, column = 1, 2
    pixels = images[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten(1)
    expected = pixels @ embed.project.weight.flatten(1).T + embed.project.bias
    torch.testing.assert_close(tokens[:, row * 3 + column], expected)


def test_sides_that_the_patch_does_not_divide_are_padded():
    embed = PatchTokens((1, 5, 7), patch_size=4, width=3)
    assert embed(torch.randn(2, 1, 5, 7)).shape == (2, 4, 3)
    assert embed.num_tokens == 4


def test_a_one_hot_column_is_one_token():
    embed = ColumnTokens([1, 3, 1], width=4)
    vectors = torch.tensor([[0.5, 0.0, 1.0, 0.0, -2.0]])
    tokens = embed(vectors)
    assert tokens.shape == (1, 3, 4)
    torch.testing.assert_close(tokens[0, 0], 0.5 * embed.weight[0] + embed.bias[0])
    torch.testing.assert_close(tokens[0, 1], embed.weight[2] + embed.bias[1])
    torch.testing.assert_close(tokens[0, 2], -2 * embed.weight[4] + embed.bias[2])


def test_sinusoids_are_those_of_the_paper():
    table = sinusoids(50, 6)
    for place, i in ((0, 0), (7, 1), (49, 2)):
        angle = place / 10000 ** (2 * i / 6)
        assert table[place, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
        assert table[place, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)
    assert sinusoids(4, 5).shape == (4, 5)


def test_fixed_positions_are_not_saved_and_learned_ones_are():
    embed = TimeStepTokens(4, 2, 6)
    assert "table" not in Tokens(embed, 6, "sinusoidal", cls=False).state_dict()
    assert Tokens(embed, 6, "learned", cls=False).state_dict()["table"].shape == (4, 6)
    assert Tokens(embed, 6, "none", cls=True)(torch.randn(3, 4, 2)).shape == (3, 5, 6)


def test_pooling_leaves_padding_out():
    tokens = torch.randn(2, 4, 3)
    padding = torch.tensor([[False, False, True, True], [False, False, False, False]])
    torch.testing.assert_close(pool(tokens, "mean", padding)[0], tokens[0, :2].mean(0))
    torch.testing.assert_close(pool(tokens, "mean", padding)[1], tokens[1].mean(0))
    assert torch.equal(pool(tokens, "last", padding), torch.stack([tokens[0, 1], tokens[1, 3]]))
    assert torch.equal(pool(tokens, "last"), tokens[:, -1])


def test_auto_pooling_follows_the_task():
    def spec(layout: Layout, horizon: int = 0) -> DataSpec:
        return DataSpec(layout=layout, task=Task.REGRESSION, input_shape=(4, 2), num_outputs=1, horizon=horizon)

    assert resolve_pooling(spec(Layout.SEQUENCE, horizon=1), "auto") == "last"
    assert resolve_pooling(spec(Layout.SEQUENCE), "auto") == "mean"
    assert resolve_pooling(spec(Layout.SEQUENCE), "auto", causal=True) == "last"
    assert resolve_pooling(spec(Layout.VECTOR), "auto") == "cls"
    assert resolve_pooling(spec(Layout.IMAGE), "auto") == "mean"
    assert resolve_pooling(spec(Layout.IMAGE), "cls") == "cls"


def test_heads_that_do_not_divide_the_width_are_told_with_those_that_do():
    spec = DataSpec(layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(4,), num_outputs=3)
    with pytest.raises(ConfigError, match=r"num_heads=3 does not divide model\.width=20.*Choose one of 1, 2, 4, 5, 10"):
        attention(spec, width=20, num_heads=3)
