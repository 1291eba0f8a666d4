"""Attention: the multi-head self-attention layer of the Transformer paper, and a small classifier with it.

`SelfAttention` has the parameters of `nn.MultiheadAttention`, by name and shape, and computes the same. Masks are
boolean, and true means "not attended to", as in torch's layer.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.models.layers.padding import split_padding
from ptrun.models.layers.tokens import (
    Tokens,
    make_tokenizer,
    pool,
    require_divisible,
    resolve_pooling,
    resolve_positions,
)
from ptrun.registry import models
from ptrun.spec import DataSpec


def attention_weights(queries: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return softmax(Q K^T / sqrt(d)) [..., T, S] of queries [..., T, d] and keys [..., S, d].

    Equation 1 of Vaswani et al. 2017 (arXiv:1706.03762) without the values. Where `mask`, broadcastable to
    [..., T, S], is true, the weight is zero.
    """
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(mask, -math.inf)
    return scores.softmax(dim=-1)


def attention_mask(padding: Tensor | None, causal: bool, num_tokens: int, device: torch.device) -> Tensor | None:
    """Combine padding [batch, tokens] and causal order into a mask [batch or 1, 1, tokens or 1, tokens], or None."""
    mask = None if padding is None else padding[:, None, None, :]
    if not causal:
        return mask
    future = torch.ones(num_tokens, num_tokens, dtype=torch.bool, device=device).triu(1)[None, None]
    return future if mask is None else mask | future


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product self-attention (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        require_divisible(width, num_heads)
        self.num_heads = num_heads
        self.dropout = dropout
        # W_Q, W_K and W_V of all heads are in one matrix, so that one product computes them all.
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def project(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map [batch, tokens, width] to queries, keys and values [batch, heads, tokens, width / heads]."""
        projected = F.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        batch, num_tokens, _ = tokens.shape
        heads = projected.reshape(batch, num_tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys, values = heads.unbind(0)
        return queries, keys, values

    def forward(self, tokens: Tensor, padding: Tensor | None = None, causal: bool = False) -> Tensor:
        """Map [batch, tokens, width] to the same shape.

        padding [batch, tokens]: true where a token is not attended to. causal: no token attends to later ones.
        The output is undefined for a sample of padding only, which can attend to nothing.
        """
        queries, keys, values = self.project(tokens)
        mask = attention_mask(padding, causal, tokens.shape[1], tokens.device) if padding is not None else None
        mixed = F.scaled_dot_product_attention(  # attention_weights(...) @ values, without storing the weights
            queries,
            keys,
            values,
            attn_mask=None if mask is None else ~mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal and mask is None,
        )
        outputs: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return outputs

    def weights(self, tokens: Tensor, padding: Tensor | None = None, causal: bool = False) -> Tensor:
        """Return the attention weights [batch, heads, tokens, tokens]; each row sums to one. For inspection only."""
        queries, keys, _ = self.project(tokens)
        return attention_weights(queries, keys, attention_mask(padding, causal, tokens.shape[1], tokens.device))


class AttentionClassifier(nn.Module):
    """Tokens, attention layers with residual and layer norm, pooling, then linear, ReLU, dropout, linear.

    The block without its feed-forward part is that of Vaswani et al. 2017 (arXiv:1706.03762, section 3.1).
    """

    def __init__(
        self,
        tokens: Tokens,
        width: int,
        num_outputs: int,
        num_layers: int,
        num_heads: int,
        dropout: float,
        pooling: str,
        padding_channel: bool = False,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.layers = nn.ModuleList(SelfAttention(width, num_heads, dropout) for _ in range(num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(num_layers))
        self.head = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * width, num_outputs)
        )
        self.pooling = pooling
        self.padding_channel = padding_channel

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [batch, ...] to [batch, num_outputs]; time steps that are padding do not count."""
        padding = None
        if self.padding_channel:
            inputs, padding = split_padding(inputs)
        tokens = self.tokens(inputs, padding)
        mask = None if padding is None else self.tokens.extend_padding(padding)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            tokens = norm(tokens + layer(tokens, mask))
        outputs: Tensor = self.head(pool(tokens, self.pooling, mask))
        return outputs


@models.register
def attention(
    spec: DataSpec,
    *,
    width: int = 64,
    num_layers: int = 2,
    num_heads: int = 4,
    dropout: float = 0.1,
    positions: str = "auto",
    pooling: str = "auto",
    patch_size: int | str = "auto",
) -> nn.Module:
    """Self-attention over time steps, columns or patches. Raises ConfigError when the heads don't divide the width."""
    require_divisible(width, num_heads)
    pooling = resolve_pooling(spec, pooling)
    embed = make_tokenizer(spec, width, patch_size)
    tokens = Tokens(embed, width, resolve_positions(spec, positions), cls=pooling == "cls")
    return AttentionClassifier(
        tokens, width, spec.num_outputs, num_layers, num_heads, dropout, pooling, spec.padding_channel
    )
