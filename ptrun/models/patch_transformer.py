"""Patch Transformer: forecasts each column of a series from tokens that are patches of its past.

Columns are treated separately, with the same weights.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.models.layers.forecasting import Channels, InstanceNorm, forecast_channels
from ptrun.models.layers.tokens import TimeStepTokens, Tokens, require_divisible
from ptrun.models.transformer import Encoder
from ptrun.registry import models
from ptrun.spec import DataSpec


class PatchForecaster(nn.Module):
    """PatchTST (Nie et al. 2023, arXiv:2211.14730, section 3.1): patches of each column, encoder, linear head.

    The last value is repeated `patch_stride` times at the end, so that the newest time steps get a patch of their own.
    Unlike in the paper, blocks have layer norm, and attention does not add the scores of the block before.
    """

    def __init__(
        self, channels: Channels, tokens: Tokens, encoder: Encoder, head: nn.Module, length: int, stride: int
    ) -> None:
        super().__init__()
        self.channels, self.tokens, self.encoder, self.head = channels, tokens, encoder, head
        self.length, self.stride = length, stride

    def patches(self, series: Tensor) -> Tensor:
        """Map [batch, columns, time] to [batch * columns, patches, patch length]."""
        padded = F.pad(series, (0, self.stride), mode="replicate")
        return padded.unfold(2, self.length, self.stride).flatten(0, 1)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, horizon * columns]."""
        encoded = self.encoder(self.tokens(self.patches(self.channels(sequences))))
        forecasts: Tensor = self.head(encoded.flatten(1))
        return self.channels.join(forecasts.view(sequences.shape[0], len(self.channels.columns), -1))


@models.register
def patch_transformer(
    spec: DataSpec,
    *,
    patch_length: int = 16,
    patch_stride: int = 8,
    width: int = 16,
    num_layers: int = 3,
    num_heads: int = 4,
    expansion: int = 8,
    dropout: float = 0.3,
    head_dropout: float = 0.0,
    norm: str = "pre",
    activation: str = "gelu",
    instance_norm: bool = True,
) -> nn.Module:
    """Patch Transformer for forecasts. Raises ConfigError for other data and for patches longer than the window."""
    columns = forecast_channels(spec, "patch_transformer")
    require_divisible(width, num_heads)
    num_patches = patch_count(spec.input_shape[0], patch_length, patch_stride)
    tokens = Tokens(TimeStepTokens(num_patches, patch_length, width), width, "learned", cls=False)
    encoder = Encoder(width, num_layers, num_heads, expansion, dropout, norm, activation, attention_dropout=0.0)
    head = nn.Sequential(nn.Dropout(head_dropout), nn.Linear(num_patches * width, spec.horizon))
    model = PatchForecaster(Channels(columns), tokens, encoder, head, patch_length, patch_stride)
    return InstanceNorm(model, columns) if instance_norm else model


def patch_count(num_steps: int, length: int, stride: int) -> int:
    """Number of patches of a window whose last value is repeated `stride` times.

    Raises ConfigError when a patch is longer than the window, or when patches would leave time steps out.
    """
    if length > num_steps:
        raise ConfigError(
            f"model.patch_length is {length}, but dataset.window gives only {num_steps} time steps. "
            f"Use at most {num_steps}."
        )
    if stride > length:
        raise ConfigError(
            f"model.patch_stride is {stride}, which leaves out time steps between patches of {length}. "
            "Use at most model.patch_length."
        )
    return (num_steps - length) // stride + 2
