"""Timm: any image network of the package timm, with or without pretrained weights, all trained or only its head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ptrun.files.weights_path import is_path
from ptrun.models.layers.layouts import require_layout
from ptrun.models.timm_library import Expected, create, expected_by, require_readable
from ptrun.models.torchvision_networks import ImageInput, enlarged, size_notes
from ptrun.models.weights.match import head_of, match_weights
from ptrun.models.weights.stored import load_weights_file
from ptrun.registry import models
from ptrun.spec import DataSpec, Layout


class TimmNet(nn.Module):
    """A network of timm behind a layer that gives images the right size and channels.

    heads: names of the layers in `network` that give the outputs. With `frozen` only they are trained: the others get
    no gradients and stay in eval mode, so that batch norm neither uses nor updates batch statistics.
    """

    def __init__(self, inputs: ImageInput, network: nn.Module, heads: Sequence[str], frozen: bool = False) -> None:
        super().__init__()
        self.inputs = inputs
        self.network = network
        self.head_name = f"network.{heads[0]}"
        self.heads = tuple(heads)
        self.frozen = frozen
        self.notes: tuple[str, ...] = ()
        if frozen:
            network.requires_grad_(False)
            for name in heads:
                network.get_submodule(name).requires_grad_(True)
        self.train(self.training)

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, num_outputs]."""
        outputs: Tensor = self.network(self.inputs(images))
        return outputs

    def train(self, mode: bool = True) -> TimmNet:
        """Switch between training and evaluation mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
            for name in self.heads:
                self.network.get_submodule(name).train(mode)
        return self


@models.register
def timm(
    spec: DataSpec,
    *,
    arch: str = "resnet18",
    weights: str | None = None,
    frozen: bool = False,
    image_size: int | str | None = "auto",
    restoring: bool = False,
) -> nn.Module:
    """A network of timm. One channel becomes three equal ones; other numbers of channels change its first layer.

    restoring: the parameters will come from a checkpoint, so no weights are read.
    Raises ConfigError for an unknown `arch`, name of weights or size, DataError when weights can't be downloaded,
    CheckpointError when a file does not fit.
    """
    require_layout(spec, "timm", Layout.IMAGE)
    expected = expected_by(arch, weights)
    channels = 3 if spec.input_shape[0] == 1 else spec.input_shape[0]
    size = _input_size(expected, image_size, spec.input_shape[1:])
    other_size = size if expected.fixed and size != expected.side else None
    network = create(arch, None if restoring else weights, spec.num_outputs, channels, other_size)
    if size != expected.side:
        with torch.no_grad():
            require_readable(network, arch, torch.zeros(1, channels, *size, device=next(network.parameters()).device))
    heads = [name for name in expected.heads if name] or [head_of(network, spec.num_outputs)]
    notes = []
    if weights is not None and not restoring:
        notes.append(_load(network, weights, heads[0], spec))
    model = TimmNet(ImageInput(size if image_size else None, channels), network, heads, frozen)
    notes += size_notes(spec.input_shape[1:], size)
    if frozen and weights is None and not restoring:
        notes.append("The network is frozen and has random weights (model.weights=null): only the head learns.")
    model.notes = tuple(notes)
    return model


def input_statistics(arch: str, weights: str | None) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of the channels with which published weights were trained, in units of [0, 1]."""
    expected = expected_by(arch, weights)
    return expected.mean, expected.std


def _load(network: nn.Module, weights: str, head: str, spec: DataSpec) -> str:
    """Load a file; published weights are in the network already. Returns what became of them, for the user."""
    if not is_path(weights):
        return f"the published weights '{weights}' of timm are loaded; the head ({head}) is new"
    return match_weights(network, load_weights_file(weights), head=head, spec=spec).sentence


def _input_size(expected: Expected, setting: int | str | None, image_size: Sequence[int]) -> tuple[int, int]:
    """The (height, width) at which the network reads images of `image_size`."""
    if setting is None:
        height, width = image_size
        return height, width
    if setting != "auto":
        return int(setting), int(setting)
    return expected.side if expected.fixed else enlarged(image_size)
