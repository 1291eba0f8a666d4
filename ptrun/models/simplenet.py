"""Simplenet: a fully connected network; without a hidden layer it is linear or softmax regression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ptrun.registry import models
from ptrun.spec import DataSpec


class SimpleNet(nn.Module):
    """Linear, ReLU, linear, ReLU, ..., linear, on flattened inputs."""

    def __init__(self, num_features: int, hidden_features: Sequence[int], num_outputs: int) -> None:
        super().__init__()
        widths = [num_features, *hidden_features]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], num_outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [batch, ...] to [batch, num_outputs]."""
        outputs: Tensor = self.layers(inputs)
        return outputs


@models.register
def simplenet(spec: DataSpec, *, hidden_features: Sequence[int] = (64,)) -> nn.Module:
    """Fully connected network with a hidden layer for each entry of `hidden_features`."""
    return SimpleNet(math.prod(spec.input_shape), hidden_features, spec.num_outputs)
