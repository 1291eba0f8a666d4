"""Turns inputs of every layout into tokens [batch, tokens, width], and tokens into one vector by pooling.

A class token, where there is one, is the last token, so that it attends to all others in a causal encoder too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.spec import DataSpec, Layout


class TimeStepTokens(nn.Module):
    """One token for each time step of a sequence: a linear map of its features."""

    def __init__(self, num_steps: int, num_features: int, width: int) -> None:
        super().__init__()
        self.num_tokens = num_steps
        self.project = nn.Linear(num_features, width)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, time, width]."""
        tokens: Tensor = self.project(sequences)
        return tokens


class ColumnTokens(nn.Module):
    """One token for each column of a table, as in FT-Transformer (Gorishniy et al. 2021, arXiv:2106.11959).

    groups: how many consecutive entries of the vector each column takes, several when it is one-hot.
    Each column has its own linear map. The bias is the column's embedding, so columns need no positional encoding.
    """

    owner: Tensor

    def __init__(self, groups: Sequence[int], width: int) -> None:
        super().__init__()
        self.num_tokens = len(groups)
        self.weight = nn.Parameter(torch.empty(sum(groups), width))
        self.bias = nn.Parameter(torch.empty(len(groups), width))
        bound = 1 / math.sqrt(width)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        owner = torch.repeat_interleave(torch.arange(len(groups)), torch.tensor(groups))
        self.register_buffer("owner", owner, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map [batch, features] to [batch, columns, width]."""
        entries = vectors.unsqueeze(-1) * self.weight
        if len(self.owner) > self.num_tokens:
            empty = entries.new_zeros(vectors.shape[0], self.num_tokens, entries.shape[-1])
            entries = empty.index_add(1, self.owner, entries)
        return entries + self.bias


class PatchTokens(nn.Module):
    """One token for each square patch, as in ViT (Dosovitskiy et al. 2020, arXiv:2010.11929).

    Where the patch does not divide the sides, images are padded with zeros at the right and the bottom.
    """

    def __init__(self, image_shape: Sequence[int], patch_size: int, width: int) -> None:
        super().__init__()
        channels, height, image_width = image_shape
        self.num_tokens = math.ceil(height / patch_size) * math.ceil(image_width / patch_size)
        self.padding = (0, -image_width % patch_size, 0, -height % patch_size)
        self.project = nn.Conv2d(channels, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, patches, width], patches row by row."""
        maps: Tensor = self.project(F.pad(images, self.padding))
        return maps.flatten(2).transpose(1, 2)


def auto_patch_size(height: int, width: int) -> int:
    """The power of two nearest to the square root of the side: about as many patches as a patch has pixels.

    8 -> 2 (16 tokens), 28 -> 4 (49), 32 -> 4 (64), 224 -> 16 (196).
    """
    side = math.sqrt(height * width)
    return 1 << max(0, math.ceil(math.log2(side) / 2 - 0.5))


def make_tokenizer(spec: DataSpec, width: int, patch_size: int | str) -> TimeStepTokens | ColumnTokens | PatchTokens:
    """Return the module that turns inputs of the spec's layout into tokens."""
    if spec.layout is Layout.SEQUENCE:
        return TimeStepTokens(spec.input_shape[0], spec.num_measured_channels, width)
    if spec.layout is Layout.VECTOR:
        return ColumnTokens(spec.feature_groups or (1,) * spec.num_features, width)
    patch = auto_patch_size(*spec.input_shape[1:]) if patch_size == "auto" else int(patch_size)
    return PatchTokens(spec.input_shape, patch, width)


def sinusoids(num_tokens: int, width: int) -> Tensor:
    """Return the positional encoding [tokens, width] of "Attention Is All You Need", section 3.5.

    PE(pos, 2i) = sin(pos / 10000^(2i / width)), PE(pos, 2i + 1) = cos of the same.
    """
    positions = torch.arange(num_tokens).unsqueeze(1)
    angles = positions * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


class Tokens(nn.Module):
    """Tokenizer, positional encoding, and an optional class token at the end.

    positions: `sinusoidal` (fixed), `learned` (one vector for each position) or `none`.
    """

    table: Tensor | None

    def __init__(
        self, embed: TimeStepTokens | ColumnTokens | PatchTokens, width: int, positions: str, cls: bool
    ) -> None:
        super().__init__()
        self.embed = embed
        if positions == "learned":
            # About as large as the tokens, so that positions matter from the start also with few data.
            self.table = nn.Parameter(torch.empty(embed.num_tokens, width).normal_(std=0.5))
        else:  # not in checkpoints, because it follows from the sizes
            fixed = sinusoids(embed.num_tokens, width) if positions == "sinusoidal" else None
            self.register_buffer("table", fixed, persistent=False)
        self.cls = nn.Parameter(torch.empty(width).normal_(std=0.02)) if cls else None

    def forward(self, inputs: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map a batch of inputs to [batch, tokens, width], the class token included.

        padding [batch, time]: true where a time step is padding. Positions count from the first step that is not.
        """
        tokens: Tensor = self.embed(inputs)
        if self.table is not None and padding is not None:
            tokens = tokens + self.table[((~padding).cumsum(dim=1) - 1).clamp(min=0)]
        elif self.table is not None:
            tokens = tokens + self.table[: tokens.shape[1]]
        if self.cls is None:
            return tokens
        return torch.cat([tokens, self.cls.expand(tokens.shape[0], 1, -1)], dim=1)

    def extend_padding(self, padding: Tensor) -> Tensor:
        """Extend a padding mask [batch, time] to [batch, tokens]: the class token is no padding."""
        return padding if self.cls is None else F.pad(padding, (0, 1), value=False)


def resolve_positions(spec: DataSpec, positions: str) -> str:
    """Resolve `auto`: sinusoidal for time steps, learned for patches, none for columns."""
    by_layout = {Layout.SEQUENCE: "sinusoidal", Layout.IMAGE: "learned", Layout.VECTOR: "none"}
    return by_layout[spec.layout] if positions == "auto" else positions


def resolve_pooling(spec: DataSpec, pooling: str, causal: bool = False) -> str:
    """Resolve `auto`: the last time step for forecasts and causal encoders, a class token for tables, else the mean."""
    if pooling != "auto":
        return pooling
    if spec.horizon or (causal and spec.layout is Layout.SEQUENCE):
        return "last"
    return "cls" if spec.layout is Layout.VECTOR or causal else "mean"


def pool(tokens: Tensor, pooling: str, padding: Tensor | None = None) -> Tensor:
    """Reduce [batch, tokens, width] to [batch, width] without the tokens where `padding` [batch, tokens] is true.

    pooling: `mean`, `last` (the last token that is not padding) or `cls` (the class token).
    """
    if pooling == "cls" or (pooling == "last" and padding is None):
        return tokens[:, -1]
    if padding is None:
        return tokens.mean(dim=1)
    real = ~padding
    if pooling == "mean":
        return (tokens * real.unsqueeze(-1)).sum(dim=1) / real.sum(dim=1, keepdim=True).clamp(min=1)
    positions = torch.arange(tokens.shape[1], device=tokens.device)
    last = (positions * real).argmax(dim=1)
    return tokens[torch.arange(tokens.shape[0], device=tokens.device), last]


def require_divisible(width: int, num_heads: int) -> None:
    """Raise ConfigError when the number of attention heads does not divide the width."""
    if width % num_heads:
        divisors = [heads for heads in range(1, 17) if width % heads == 0]
        raise ConfigError(
            f"model.num_heads={num_heads} does not divide model.width={width}, "
            f"but every head takes an equal share of it. "
            f"Choose one of {', '.join(map(str, divisors))} heads, or another width."
        )
