"""Fcn: convolutions along the time of a sequence, averaged over it, then a linear layer.

The convolutions keep the number of time steps, so a sequence may be shorter than a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.models.layers.layouts import require_layout
from ptrun.models.layers.padding import convolve, mean_of_steps, split_padding
from ptrun.registry import models
from ptrun.spec import DataSpec, Layout


class Fcn(nn.Module):
    """The fully convolutional network of Wang et al. 2017 (arXiv:1611.06455, section II.B).

    Blocks of convolution, batch norm, ReLU, then the mean over time and a linear layer. The mean keeps the number of
    weights small, which suits data of a few dozen sequences.
    """

    def __init__(
        self,
        num_features: int,
        channels: Sequence[int],
        kernel_sizes: Sequence[int],
        num_outputs: int,
        padding_channel: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for (before, after), size in zip(pairwise([num_features, *channels]), kernel_sizes, strict=True):
            # An even kernel gets one more zero at the end, as in the authors' Keras code. Batch norm has the bias.
            layers += [nn.ZeroPad1d(((size - 1) // 2, size // 2)), nn.Conv1d(before, after, size, bias=False)]
            layers += [nn.BatchNorm1d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1], num_outputs)
        self.padding_channel = padding_channel

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, num_outputs]; time steps that are padding do not count."""
        outputs: Tensor = self.head(self.mean_features(sequences))
        return outputs

    def mean_features(self, sequences: Tensor) -> Tensor:
        """Map [batch, time, features] to [batch, channels]."""
        if self.padding_channel:
            measured, padding = split_padding(sequences)
            return mean_of_steps(convolve(self.features, measured.transpose(1, 2), padding), padding)
        maps: Tensor = self.features(sequences.transpose(1, 2))
        return maps.mean(dim=2)


@models.register
def fcn(
    spec: DataSpec, *, channels: Sequence[int] = (128, 256, 128), kernel_sizes: Sequence[int] = (8, 5, 3)
) -> nn.Module:
    """Fully convolutional network for sequences. Raises ConfigError for other layouts or lists of different lengths."""
    require_layout(spec, "fcn", Layout.SEQUENCE)
    if len(channels) != len(kernel_sizes) or not channels:
        raise ConfigError(
            f"model.channels has {len(channels)} entries and model.kernel_sizes {len(kernel_sizes)}, "
            "but every convolution needs one of each. Give both lists the same length, at least 1."
        )
    return Fcn(spec.num_measured_channels, channels, kernel_sizes, spec.num_outputs, spec.padding_channel)
