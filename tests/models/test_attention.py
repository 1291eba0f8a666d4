"""The hand-written attention layer computes what torch's layer and the equation compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.models.attention import SelfAttention, attention, attention_weights
from ptrun.spec import DataSpec, Layout, Task

BATCH, TOKENS, WIDTH, HEADS = 3, 7, 12, 4


def padding_mask() -> torch.Tensor:
    return torch.arange(TOKENS) >= torch.tensor([[7], [4], [1]])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_equals_multihead_attention_with_the_same_weights(causal, padded):
    torch.manual_seed(0)
    reference = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    nn.init.normal_(reference.in_proj_bias)
    nn.init.normal_(reference.out_proj.bias)
    ours = SelfAttention(WIDTH, HEADS)
    ours.load_state_dict(reference.state_dict())
    tokens = torch.randn(BATCH, TOKENS, WIDTH, requires_grad=True)
    padding = padding_mask() if padded else None
    future = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1) if causal else None
    expected, expected_weights = reference(
        tokens, tokens, tokens, key_padding_mask=padding, attn_mask=future, average_attn_weights=False
    )
    outputs = ours(tokens, padding, causal)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(ours.weights(tokens, padding, causal), expected_weights)
    theirs = torch.autograd.grad(expected.square().sum(), tokens)[0]
    torch.testing.assert_close(torch.autograd.grad(outputs.square().sum(), tokens)[0], theirs, rtol=1e-4, atol=1e-5)


def test_starts_with_the_same_distribution_as_torch():
    torch.manual_seed(0)
    reference = nn.MultiheadAttention(64, 4)
    ours = SelfAttention(64, 4)
    for name, parameter in ours.named_parameters():
        assert parameter.std().item() == pytest.approx(reference.get_parameter(name).std().item(), rel=0.1), name


def test_the_equation_by_hand():
    queries, keys = torch.tensor([[1.0, 0.0]]), torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    scores = torch.tensor([4 / 2**0.5, 0.0]).exp()
    torch.testing.assert_close(attention_weights(queries, keys), (scores / scores.sum())[None])
    hidden = torch.tensor([[True, False]])
    assert attention_weights(queries, keys, hidden).tolist() == [[0.0, 1.0]]


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    layer = SelfAttention(WIDTH, HEADS, dropout=0.5)
    tokens = torch.randn(BATCH, TOKENS, WIDTH)
    assert not torch.equal(layer(tokens), layer(tokens))
    layer.eval()
    assert torch.equal(layer(tokens), layer(tokens))


@pytest.mark.parametrize(
    ("layout", "shape"), [(Layout.IMAGE, (1, 8, 8)), (Layout.VECTOR, (5,)), (Layout.SEQUENCE, (9, 2))]
)
@pytest.mark.parametrize("pooling", ["auto", "mean", "cls", "last"])
def test_classifier_trains_on_every_layout(layout, shape, pooling):
    spec = DataSpec(layout=layout, task=Task.CLASSIFICATION, input_shape=shape, num_outputs=3)
    model = attention(spec, width=16, num_heads=2, pooling=pooling)
    outputs = model(torch.randn(4, *shape))
    assert outputs.shape == (4, 3)
    outputs.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
