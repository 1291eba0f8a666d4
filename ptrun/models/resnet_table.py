"""Resnet_table: a residual network of linear layers for rows of a table, optionally with periodic features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ptrun.models.layers.layouts import require_layout
from ptrun.registry import models
from ptrun.spec import DataSpec, Layout


class PeriodicFeatures(nn.Module):
    """Sines and cosines of a number, then a linear layer and ReLU: PLR of Gorishniy et al. 2022 (arXiv:2203.05556).

    Every column has its own frequencies and linear layer. A network changes slowly along a raw number; a jump at
    one income or age is easy to build from its sines. The frequencies are trained; they begin as normal random numbers
    with standard deviation `frequency_scale`, in turns per standard deviation of the column.
    """

    def __init__(self, num_columns: int, num_frequencies: int, num_features: int, frequency_scale: float) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.empty(num_columns, num_frequencies).normal_(std=frequency_scale))
        bound = 1 / math.sqrt(2 * num_frequencies)
        self.weight = nn.Parameter(torch.empty(num_columns, 2 * num_frequencies, num_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_columns, num_features).uniform_(-bound, bound))

    def forward(self, numbers: Tensor) -> Tensor:
        """Map [batch, columns] to [batch, columns * num_features]."""
        angles = 2 * math.pi * numbers.unsqueeze(-1) * self.frequencies
        waves = torch.cat([angles.sin(), angles.cos()], dim=-1)
        mixed = torch.einsum("bcw,cwf->bcf", waves, self.weight) + self.bias
        return mixed.relu().flatten(1)


class TableInputs(nn.Module):
    """Replaces the numbers of a vector by their periodic features, and keeps the entries that are 0 or 1."""

    numbers: Tensor
    marks: Tensor

    def __init__(self, num_features: int, binary_features: tuple[int, ...], periodic: PeriodicFeatures) -> None:
        super().__init__()
        self.periodic = periodic
        self.num_features = periodic.bias.numel() + len(binary_features)
        marks = set(binary_features)
        numbers = torch.tensor([i for i in range(num_features) if i not in marks], dtype=torch.int64)
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("marks", torch.tensor(binary_features, dtype=torch.int64), persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map [batch, features] to [batch, self.num_features]."""
        return torch.cat([self.periodic(vectors[:, self.numbers]), vectors[:, self.marks]], dim=1)


class ResidualBlock(nn.Module):
    """x + dropout(linear(dropout(relu(linear(batch_norm(x))))))."""

    def __init__(self, width: int, hidden_features: int, dropout: float, residual_dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Linear(width, hidden_features),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_features, width),
            nn.Dropout(residual_dropout),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [batch, width] to the same shape."""
        return inputs + self.layers(inputs)  # type: ignore[no-any-return]


@models.register
def resnet_table(
    spec: DataSpec,
    *,
    width: int = 128,
    num_blocks: int = 2,
    expansion: int = 2,
    dropout: float = 0.2,
    residual_dropout: float = 0.0,
    num_frequencies: int = 0,
    frequency_scale: float = 0.1,
    frequency_features: int = 16,
) -> nn.Module:
    """The ResNet of Gorishniy et al. 2021 (arXiv:2106.11959, section 3.2): linear, blocks, batch norm, ReLU, linear.

    The linear map of a one-hot column is its embedding, so categories need no embedding table.
    Raises ConfigError for other layouts.
    """
    require_layout(spec, "resnet_table", Layout.VECTOR)
    layers: list[nn.Module] = []
    num_features, num_numbers = spec.num_features, spec.num_features - len(spec.binary_features)
    if num_frequencies and num_numbers:
        periodic = PeriodicFeatures(num_numbers, num_frequencies, frequency_features, frequency_scale)
        inputs = TableInputs(num_features, spec.binary_features, periodic)
        layers, num_features = [inputs], inputs.num_features
    layers.append(nn.Linear(num_features, width))
    layers += [ResidualBlock(width, expansion * width, dropout, residual_dropout) for _ in range(num_blocks)]
    return nn.Sequential(*layers, nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, spec.num_outputs))
