"""The hand-written encoder computes what torch's encoder does, with every mask."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.models.transformer import Encoder, EncoderBlock, transformer
from ptrun.spec import DataSpec, Layout, Task

BATCH, TOKENS, WIDTH, HEADS = 3, 6, 8, 2


def padding_mask() -> torch.Tensor:
    return torch.arange(TOKENS) >= torch.tensor([[6], [4], [2]])


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize(("padded", "causal"), [(False, False), (True, False), (False, True), (True, True)])
def test_block_equals_torchs_layer_with_the_same_weights(norm, activation, padded, causal):
    torch.manual_seed(0)
    reference = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.1, activation=activation, batch_first=True, norm_first=norm == "pre"
    ).eval()
    block = EncoderBlock(WIDTH, HEADS, 4 * WIDTH, 0.1, norm, activation).eval()
    block.load_state_dict(reference.state_dict())
    tokens, padding = torch.randn(BATCH, TOKENS, WIDTH), padding_mask() if padded else None
    future = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1) if causal else None
    expected = reference(tokens, src_mask=future, src_key_padding_mask=padding)
    outputs = block(tokens, padding, causal)
    real = torch.ones(BATCH, TOKENS, dtype=torch.bool) if padding is None else ~padding
    # Torch's fast path writes zeros where there is padding; those outputs are not compared.
    torch.testing.assert_close(outputs[real], expected[real])


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_stack_equals_torchs_encoder_with_the_same_weights():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, batch_first=True, norm_first=True)
    reference = nn.TransformerEncoder(layer, 3, norm=nn.LayerNorm(WIDTH)).eval()
    encoder = Encoder(WIDTH, 3, HEADS, 4, 0.1, "pre", "relu").eval()
    encoder.load_state_dict(reference.state_dict())
    tokens = torch.randn(BATCH, TOKENS, WIDTH)
    torch.testing.assert_close(encoder(tokens), reference(tokens))


def make_spec(layout: Layout, shape: tuple[int, ...], **changes) -> DataSpec:
    return DataSpec(layout=layout, task=Task.REGRESSION, input_shape=shape, num_outputs=3, **changes)


@pytest.mark.parametrize(
    ("layout", "shape"), [(Layout.IMAGE, (3, 9, 10)), (Layout.VECTOR, (5,)), (Layout.SEQUENCE, (9, 2))]
)
@pytest.mark.parametrize("settings", [{}, {"norm": "post", "positions": "none"}, {"causal": True}, {"pooling": "cls"}])
def test_every_layout_trains_every_parameter(layout, shape, settings):
    model = transformer(make_spec(layout, shape), width=16, num_heads=2, **settings)
    outputs = model(torch.randn(4, *shape))
    assert outputs.shape == (4, 3)
    outputs.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_padded_steps_change_nothing(pooling):
    model = transformer(make_spec(Layout.SEQUENCE, (TOKENS, 2)), width=16, pooling=pooling).eval()
    sequences = torch.randn(BATCH, TOKENS, 2)
    other = sequences.masked_fill(padding_mask()[..., None], 100.0)
    assert torch.equal(model(sequences, padding_mask()), model(other, padding_mask()))
    assert not torch.allclose(model(sequences), model(other))


def test_causal_encoder_does_not_look_ahead():
    encoder = Encoder(WIDTH, 2, HEADS, 4, 0.0, "pre", "gelu").eval()
    tokens = torch.randn(BATCH, TOKENS, WIDTH)
    changed = tokens.clone()
    changed[:, 4:] = torch.randn(BATCH, TOKENS - 4, WIDTH)  # a constant added would vanish in the layer norm
    before, after = encoder(tokens, causal=True), encoder(changed, causal=True)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(encoder(tokens)[:, :4], encoder(changed)[:, :4])


def test_without_positions_the_order_of_steps_is_lost_and_with_them_it_is_not():
    sequences = torch.randn(BATCH, TOKENS, 2)
    for positions, same in (("none", True), ("sinusoidal", False), ("learned", False)):
        model = transformer(make_spec(Layout.SEQUENCE, (TOKENS, 2)), width=16, positions=positions).eval()
        assert torch.allclose(model(sequences), model(sequences.flip(1)), atol=1e-5) is same, positions


def test_a_one_hot_column_takes_one_token():
    model = transformer(make_spec(Layout.VECTOR, (5,), feature_groups=(1, 4)), width=16)
    assert model.tokens(torch.randn(2, 5)).shape == (2, 3, 16)  # two columns and the class token
