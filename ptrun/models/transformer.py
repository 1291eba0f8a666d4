"""Transformer: an encoder of attention and feed-forward blocks for sequences, tables and images.

`EncoderBlock` has the parameters of `nn.TransformerEncoderLayer`, by name and shape, and computes the same for both
places of the layer norm, with and without masks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.models.attention import SelfAttention
from ptrun.models.layers.autoregression import Autoregression, make_autoregression
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
from ptrun.spec import DataSpec, Layout

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class EncoderBlock(nn.Module):
    """Self-attention and a feed-forward network, each with dropout, residual and layer norm.

    norm `post` normalizes after the residual sum (Vaswani et al. 2017); `pre` normalizes the input of
    each part (Xiong et al. 2020, arXiv:2002.04745), which trains without warm-up.
    attention_dropout: probability of dropping an attention weight; None: as `dropout`.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        feedforward: int,
        dropout: float,
        norm: str = "pre",
        activation: str = "relu",
        attention_dropout: float | None = None,
    ) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, num_heads, dropout if attention_dropout is None else attention_dropout)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.activation = ACTIVATIONS[activation]
        self.norm_first = norm == "pre"

    def forward(self, tokens: Tensor, padding: Tensor | None = None, causal: bool = False) -> Tensor:
        """Map [batch, tokens, width] to the same shape; masks as in `SelfAttention`."""
        if self.norm_first:
            tokens = tokens + self.attend(self.norm1(tokens), padding, causal)
            return tokens + self.feed_forward(self.norm2(tokens))
        tokens = self.norm1(tokens + self.attend(tokens, padding, causal))
        outputs: Tensor = self.norm2(tokens + self.feed_forward(tokens))
        return outputs

    def attend(self, tokens: Tensor, padding: Tensor | None, causal: bool) -> Tensor:
        """Return the output of self-attention, [batch, tokens, width]."""
        mixed: Tensor = self.dropout(self.self_attn(tokens, padding, causal))
        return mixed

    def feed_forward(self, tokens: Tensor) -> Tensor:
        """Return linear, activation, linear of each token (equation 2 of Vaswani et al. 2017)."""
        hidden = self.dropout(self.activation(self.linear1(tokens)))
        outputs: Tensor = self.dropout(self.linear2(hidden))
        return outputs


class Encoder(nn.Module):
    """A stack of blocks; with `pre` norm a last layer norm follows, because the blocks do not normalize their sums."""

    def __init__(
        self,
        width: int,
        num_layers: int,
        num_heads: int,
        expansion: int,
        dropout: float,
        norm: str,
        activation: str,
        attention_dropout: float | None = None,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderBlock(width, num_heads, expansion * width, dropout, norm, activation, attention_dropout)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def forward(self, tokens: Tensor, padding: Tensor | None = None, causal: bool = False) -> Tensor:
        """Map [batch, tokens, width] to the same shape; masks as in `SelfAttention`."""
        for layer in self.layers:
            tokens = layer(tokens, padding, causal)
        outputs: Tensor = self.norm(tokens)
        return outputs


class Transformer(nn.Module):
    """Tokens, encoder (Vaswani et al. 2017, arXiv:1706.03762), pooling, linear head.

    For sequences a linear map of the whole window can be added to the output.
    """

    def __init__(
        self,
        tokens: Tokens,
        encoder: Encoder,
        head: nn.Linear,
        *,
        pooling: str,
        causal: bool = False,
        dropout: float = 0.0,
        autoregression: Autoregression | None = None,
        padding_channel: bool = False,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.encoder = encoder
        self.head = head
        self.dropout = nn.Dropout(dropout)
        self.autoregression = autoregression
        self.pooling = pooling
        self.causal = causal
        self.padding_channel = padding_channel

    def forward(self, inputs: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map [batch, ...] to [batch, num_outputs].

        padding [batch, time]: true where a time step is padding; these tokens do not influence the output. Inputs with
        a padding channel hold it themselves.
        """
        if self.padding_channel:
            inputs, padding = split_padding(inputs)
        tokens = self.dropout(self.tokens(inputs, padding))
        mask = None if padding is None else self.tokens.extend_padding(padding)
        outputs: Tensor = self.head(pool(self.encoder(tokens, mask, self.causal), self.pooling, mask))
        return outputs if self.autoregression is None else outputs + self.autoregression(inputs)


@models.register
def transformer(
    spec: DataSpec,
    *,
    width: int = 64,
    num_layers: int = 2,
    num_heads: int = 4,
    expansion: int = 4,
    dropout: float = 0.1,
    norm: str = "pre",
    activation: str = "gelu",
    positions: str = "auto",
    pooling: str = "auto",
    causal: bool = False,
    patch_size: int | str = "auto",
    autoregressive: bool | str = "auto",
) -> nn.Module:
    """Encoder over time steps, columns or patches. Raises ConfigError when the heads don't divide the width."""
    require_divisible(width, num_heads)
    pooling = resolve_pooling(spec, pooling, causal)
    embed = make_tokenizer(spec, width, patch_size)
    tokens = Tokens(embed, width, resolve_positions(spec, positions), cls=pooling == "cls")
    encoder = Encoder(width, num_layers, num_heads, expansion, dropout, norm, activation)
    head = nn.Linear(width, spec.num_outputs)
    linear = make_autoregression(spec, autoregressive) if spec.layout is Layout.SEQUENCE else None
    return Transformer(
        tokens,
        encoder,
        head,
        pooling=pooling,
        causal=causal,
        dropout=dropout,
        autoregression=linear,
        padding_channel=spec.padding_channel,
    )
