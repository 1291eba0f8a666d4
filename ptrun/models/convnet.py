"""Convnet: 3x3 convolutions with pooling between them, then two linear layers, for images of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from ptrun.models.layers.layouts import require_layout
from ptrun.registry import models
from ptrun.spec import DataSpec, Layout


class ConvNet(nn.Module):
    """Convolution, ReLU, pool for each entry of `channels`, then linear, ReLU, dropout, linear.

    A side of one pixel is not pooled further. Maps larger than `max_map_size` pixels a side are averaged down before
    the linear layers, so that these do not grow with the image.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        channels: Sequence[int],
        hidden_features: int,
        num_outputs: int,
        dropout: float,
        max_map_size: int,
    ) -> None:
        super().__init__()
        before, height, width = image_shape
        layers: list[nn.Module] = []
        for after in channels:
            kernel = (min(2, height), min(2, width))
            layers += [nn.Conv2d(before, after, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(kernel)]
            before, height, width = after, height // kernel[0], width // kernel[1]
        # Not adaptive average pooling, whose gradient is not deterministic on CUDA.
        kernel = (math.ceil(height / max_map_size), math.ceil(width / max_map_size))
        if kernel != (1, 1):
            layers.append(nn.AvgPool2d(kernel, ceil_mode=True))
            height, width = math.ceil(height / kernel[0]), math.ceil(width / kernel[1])
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(before * height * width, hidden_features),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_features, num_outputs),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, num_outputs]."""
        outputs: Tensor = self.classifier(self.features(images))
        return outputs


@models.register
def convnet(
    spec: DataSpec,
    *,
    channels: Sequence[int] = (64, 128),
    hidden_features: int = 512,
    dropout: float = 0.5,
    max_map_size: int = 8,
) -> nn.Module:
    """Convolutional network for images of any size and channel count. Raises ConfigError for other layouts."""
    require_layout(spec, "convnet", Layout.IMAGE)
    return ConvNet(spec.input_shape, channels, hidden_features, spec.num_outputs, dropout, max_map_size)
