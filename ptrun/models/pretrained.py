"""Transfer and torchvision: image classifiers made of torchvision's networks, with or without pretrained weights.

Normalizing the images is left to the image pipeline.
"""

from __future__ import annotations

from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.models.layers.layouts import require_layout
from ptrun.models.torchvision_networks import (
    ImageInput,
    build_network,
    input_size,
    load_network,
    require_classifier,
    size_notes,
)
from ptrun.registry import models
from ptrun.spec import DataSpec, Layout

_UNTRAINED = (
    "The backbone is frozen and has random weights (model.weights=null): only the head learns. "
    "Name weights to transfer."
)


class Transfer(nn.Module):
    """A backbone that computes features, and a head of linear, ReLU, dropout, linear.

    The backbone is frozen: it gets no gradients and stays in eval mode, so that batch norm neither uses nor updates
    batch statistics. From epoch `unfreeze_at_epoch` on it is trained, with `backbone_lr_scale` times the learning rate.
    notes: sentences for the user about the weights and the size of the images.
    """

    def __init__(
        self,
        inputs: ImageInput,
        backbone: nn.Module,
        head: nn.Module,
        unfreeze_at_epoch: int | None = None,
        backbone_lr_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.backbone = backbone
        self.head = head
        self.head_name = "head"  # the module that other weights may lack
        self.unfreeze_at_epoch = unfreeze_at_epoch
        self.backbone_lr_scale = backbone_lr_scale
        self.notes: tuple[str, ...] = ()
        self.start_epoch(0)

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, 1 or 3, height, width] to [batch, num_outputs]."""
        outputs: Tensor = self.head(self.backbone(self.inputs(images)))
        return outputs

    def start_epoch(self, epoch: int) -> None:
        """Freeze or unfreeze the backbone for an epoch, counted from 0. The training loop calls this."""
        self.frozen = self.unfreeze_at_epoch is None or epoch < self.unfreeze_at_epoch
        self.backbone.requires_grad_(not self.frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> Transfer:
        """Switch between training and evaluation mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def lr_scale(self, parameter_name: str) -> float:
        """Return the factor of the learning rate for a parameter."""
        return self.backbone_lr_scale if parameter_name.startswith("backbone.") else 1.0


class TorchvisionNet(nn.Module):
    """A network of torchvision behind a layer that gives images the right size and channels."""

    def __init__(self, inputs: ImageInput, network: nn.Module, head: str) -> None:
        """head: the name of the layer in `network` that gives the outputs."""
        super().__init__()
        self.inputs = inputs
        self.network = network
        self.head_name = f"network.{head}"
        self.notes: tuple[str, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, 1 or 3, height, width] to [batch, num_outputs]."""
        outputs: Tensor = self.network(self.inputs(images))
        return outputs


@models.register
def transfer(
    spec: DataSpec,
    *,
    arch: str = "resnet50",
    weights: str | None = "DEFAULT",
    hidden_features: int = 256,
    dropout: float = 0.2,
    unfreeze_at_epoch: int | None = None,
    backbone_lr_scale: float = 0.1,
    image_size: int | str | None = "auto",
    restoring: bool = False,
) -> nn.Module:
    """Pretrained backbone, frozen, with a new head.

    restoring: the parameters will come from a checkpoint, so no weights are read.
    Raises ConfigError for an unknown `arch` or name of weights, DataError when weights can't be downloaded,
    CheckpointError when a file does not fit.
    """
    size = _checked_input_size(spec, "transfer", arch, image_size, weights)
    backbone, last = build_network(arch, 1000, size, weights is not None)
    layer = backbone.get_submodule(last)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    features = layer.weight.shape[1]  # of a linear layer, and of the 1x1 convolution in squeezenet
    parent, _, child = last.rpartition(".")
    setattr(backbone.get_submodule(parent), child, nn.Identity())
    notes: tuple[str, ...] = ()
    if weights is not None and not restoring:
        notes = (load_network(backbone, arch, weights, last),)
    elif not restoring and unfreeze_at_epoch is None:
        notes = (_UNTRAINED,)
    head = nn.Sequential(
        nn.Linear(features, hidden_features),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden_features, spec.num_outputs),
    )
    model = Transfer(ImageInput(size if image_size else None), backbone, head, unfreeze_at_epoch, backbone_lr_scale)
    model.notes = (*notes, *size_notes(spec.input_shape[1:], size))
    return model


@models.register
def torchvision(
    spec: DataSpec,
    *,
    arch: str = "resnet18",
    weights: str | None = None,
    image_size: int | str | None = "auto",
    restoring: bool = False,
) -> nn.Module:
    """Any classifier of torchvision, all of it trained. Keywords and errors as for `transfer`."""
    size = _checked_input_size(spec, "torchvision", arch, image_size, weights)
    network, head = build_network(arch, spec.num_outputs, size, weights is not None)
    notes = () if weights is None or restoring else (load_network(network, arch, weights, head, spec),)
    model = TorchvisionNet(ImageInput(size if image_size else None), network, head)
    model.notes = (*notes, *size_notes(spec.input_shape[1:], size))
    return model


def _checked_input_size(
    spec: DataSpec, model: str, arch: str, image_size: int | str | None, weights: str | None
) -> tuple[int, int]:
    """Check layout, channels and `arch`, and return the (height, width) at which the network reads images."""
    require_layout(spec, model, Layout.IMAGE)
    channels, height, width = spec.input_shape
    if channels not in (1, 3):
        raise ConfigError(
            f"model={model} reads images of 1 or 3 channels, but those of the data set have {channels}. "
            "Use model=convnet, which takes any number of channels, or convert the images."
        )
    require_classifier(arch)
    return input_size(arch, image_size, weights is not None, (height, width))
