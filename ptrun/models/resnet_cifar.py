"""Resnet_cifar: the residual networks for small images of the ResNet paper, ResNet-20 to ResNet-110."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.models.layers.layouts import require_layout
from ptrun.registry import models
from ptrun.spec import DataSpec, Layout


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them (He et al. 2016, figure 2).

    The shortcut has no weights. Where the block halves the image, it takes every other pixel and fills the new
    channels with zeros (option A of section 3.3): all of them behind the old channels (`end`), or half of them before
    and half behind (`both`). Without the shortcut it is a block of the plain networks of section 3.3.
    """

    def __init__(
        self, before: int, after: int, stride: int, zero_channels: str = "end", has_shortcut: bool = True
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.stride = stride
        self.has_shortcut = has_shortcut
        new_channels = after - before
        self.new_before = new_channels // 2 if zero_channels == "both" else 0
        self.new_behind = new_channels - self.new_before

    def forward(self, maps: Tensor) -> Tensor:
        """Map [batch, before, height, width] to [batch, after, height / stride, width / stride], rounded up."""
        hidden = F.relu(self.norm1(self.conv1(maps)))
        change: Tensor = self.norm2(self.conv2(hidden))
        return F.relu(change + self._shortcut(maps) if self.has_shortcut else change)

    def _shortcut(self, maps: Tensor) -> Tensor:
        if self.stride == 1 and not self.new_behind:
            return maps
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new_before, self.new_behind))


class CifarResNet(nn.Module):
    """A convolution, three stages of `blocks_per_stage` blocks, the mean over all pixels, a linear layer.

    The second and third stage halve the image and double the channels (He et al. 2016, section 4.2).
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        blocks_per_stage: int,
        num_outputs: int,
        zero_channels: str = "end",
        has_shortcuts: bool = True,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        shapes = [(width, width, 1)] * blocks_per_stage
        for before, after in pairwise((width, 2 * width, 4 * width)):
            shapes += [(before, after, 2), *[(after, after, 1)] * (blocks_per_stage - 1)]
        blocks = [BasicBlock(*shape, zero_channels, has_shortcuts) for shape in shapes]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(4 * width, num_outputs)
        for module in self.modules():  # He et al. 2015 (arXiv:1502.01852), equation 10
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, num_outputs]."""
        maps = self.blocks(self.stem(images))
        outputs: Tensor = self.head(maps.mean(dim=(2, 3)))
        return outputs


@models.register
def resnet_cifar(
    spec: DataSpec, *, depth: int = 20, width: int = 16, zero_channels: str = "end", shortcuts: bool = True
) -> nn.Module:
    """ResNet of 6n + 2 layers, for images of about 32 pixels a side. Raises ConfigError for another depth or layout."""
    require_layout(spec, "resnet_cifar", Layout.IMAGE)
    if depth < 8 or depth % 6 != 2:
        below = depth - (depth - 2) % 6
        valid = [str(near) for near in (below, below + 6) if near >= 8] or ["8"]
        raise ConfigError(
            f"model.depth={depth} is not 6n + 2: the network has a first layer, three stages of n blocks "
            f"with two layers, and a last layer. Use {' or '.join(valid)}; the paper has 20, 32, 44, 56 and 110."
        )
    return CifarResNet(spec.input_shape[0], width, depth // 6, spec.num_outputs, zero_channels, shortcuts)
