"""Cifar_net: a small network for small images that trains in a few epochs at a very high learning rate.

The filters of the first convolution are not trained. They whiten patches of the training images, so that the layers
after it begin with uncorrelated inputs of equal variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.models.layers.layouts import require_layout
from ptrun.registry import models
from ptrun.spec import DataSpec, Layout

PATCH_SIDE = 2
WHITENING_IMAGES = 500  # about half a million patches of 32 x 32 images, for a covariance of 12 x 12
WHITENING_EPS = 5e-4  # added to the variances, so that directions with only noise are not amplified


class Whitening(nn.Module):
    """A 2x2 convolution with fixed filters, twice as many as a patch has numbers, and a trained bias."""

    filters: Tensor

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        numbers = in_channels * PATCH_SIDE**2
        random = nn.init.orthogonal_(torch.empty(numbers, numbers))
        self.register_buffer("filters", self._as_filters(random, in_channels))
        self.bias = nn.Parameter(torch.zeros(2 * numbers))

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Set the filters to the scaled principal directions of all patches in [images, channels, height, width]."""
        patches = F.unfold(images, PATCH_SIDE).transpose(1, 2).flatten(0, 1).double()
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        scaled = directions.T / (variances.clamp(min=0) + WHITENING_EPS).sqrt()[:, None]
        self.filters.copy_(self._as_filters(scaled.float(), images.shape[1]))

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, 8 * channels, height - 1, width - 1]."""
        return F.conv2d(images, self.filters, self.bias)

    @staticmethod
    def _as_filters(rows: Tensor, in_channels: int) -> Tensor:
        # Each direction with both signs, because the activation that follows passes positive values only.
        return torch.cat([rows, -rows]).view(-1, in_channels, PATCH_SIDE, PATCH_SIDE)


def _convolution(before: int, after: int) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.dirac_(
        layer.weight[:before]
    )  # the first channels begin as copies of the input, so that signals pass through many layers
    return layer


def _norm(channels: int) -> nn.BatchNorm2d:
    # A high momentum, so that statistics come from the last few batches: the weights change too fast for older ones.
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


class CifarNet(nn.Module):
    """The network of airbench94 (Jordan 2024, arXiv:2404.00498, section 3): whitening, three stages, a linear layer.

    A stage is convolution, pooling, batch norm, GELU, convolution, batch norm, GELU. A side of one pixel
    is not pooled further. Outputs are multiplied by `logit_scale`, which keeps them small at the start.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        channels: Sequence[int],
        num_outputs: int,
        logit_scale: float,
        norm_bias_lr_scale: float,
    ) -> None:
        super().__init__()
        in_channels, height, width = image_shape
        self.whitening = Whitening(in_channels)
        layers: list[nn.Module] = [nn.GELU()]
        height, width = height - PATCH_SIDE + 1, width - PATCH_SIDE + 1
        for before, after in pairwise([2 * in_channels * PATCH_SIDE**2, *channels]):
            kernel = (min(2, height), min(2, width))
            layers += [_convolution(before, after), nn.MaxPool2d(kernel), _norm(after), nn.GELU()]
            layers += [_convolution(after, after), _norm(after), nn.GELU()]
            height, width = height // kernel[0], width // kernel[1]
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1], num_outputs, bias=False)
        self.logit_scale = logit_scale
        self.norm_bias_lr_scale = norm_bias_lr_scale

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, num_outputs]."""
        maps = self.stages(self.whitening(images))
        outputs: Tensor = self.head(maps.amax(dim=(2, 3))) * self.logit_scale
        return outputs

    def lr_scale(self, parameter_name: str) -> float:
        """Return the factor of the learning rate for a parameter: large for the biases of batch norm."""
        is_norm_bias = parameter_name.startswith("stages.") and parameter_name.endswith(".bias")
        return self.norm_bias_lr_scale if is_norm_bias else 1.0


@models.register
def cifar_net(
    spec: DataSpec,
    *,
    channels: Sequence[int] = (64, 256, 256),
    logit_scale: float = 0.1111,
    norm_bias_lr_scale: float = 64.0,
    sample_inputs: Callable[[int], Tensor] | None = None,
) -> nn.Module:
    """Fast network for small images, the first filters fitted to the training images that `sample_inputs(count)` gives.

    Without `sample_inputs` the first filters are random and orthogonal.
    Raises ConfigError for other layouts and for images with a side of one pixel.
    """
    require_layout(spec, "cifar_net", Layout.IMAGE)
    if min(spec.input_shape[1:]) < PATCH_SIDE:
        raise ConfigError(
            f"model=cifar_net needs images of {PATCH_SIDE}x{PATCH_SIDE} pixels and more, not {list(spec.input_shape)} "
            "[channels, height, width]. Use model=convnet, which takes any size."
        )
    model = CifarNet(spec.input_shape, channels, spec.num_outputs, logit_scale, norm_bias_lr_scale)
    if sample_inputs is not None:
        model.whitening.fit(sample_inputs(WHITENING_IMAGES))
    return model
