"""Regularized: a fully connected network with batch normalization and dropout in every layer.

L2 regularization is the optimizer's weight decay, so it is not part of the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ptrun.registry import models
from ptrun.spec import DataSpec


class Regularized(nn.Module):
    """Blocks of linear, batch norm, ReLU, dropout, then a linear layer, on flattened inputs.

    Batch norm, if wanted: Ioffe and Szegedy 2015 (arXiv:1502.03167), before the activation as in the paper.
    Dropout: Srivastava et al. 2014 (JMLR 15). A linear layer that batch norm follows has no bias,
    which batch norm would subtract again.
    """

    def __init__(
        self,
        num_features: int,
        hidden_features: Sequence[int],
        num_outputs: int,
        dropout: float,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        widths = [num_features, *hidden_features]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            norms = [nn.BatchNorm1d(after)] if batch_norm else []
            layers += [nn.Linear(before, after, bias=not batch_norm), *norms, nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], num_outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [batch, ...] to [batch, num_outputs]."""
        outputs: Tensor = self.layers(inputs)
        return outputs


@models.register
def regularized(
    spec: DataSpec, *, hidden_features: Sequence[int] = (128, 64), dropout: float = 0.3, batch_norm: bool = True
) -> nn.Module:
    """Fully connected network with batch norm and dropout after every hidden layer."""
    return Regularized(math.prod(spec.input_shape), hidden_features, spec.num_outputs, dropout, batch_norm)
