"""Torchvision's classifiers by name: checked, built for an image size, and loaded with pretrained weights.

torchvision is imported only when one is built, because its import takes long.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ptrun.errors import ConfigError, did_you_mean, join_words
from ptrun.files.weights_path import is_path
from ptrun.models.weights.download import cached_files, cached_weights
from ptrun.models.weights.match import match_weights
from ptrun.models.weights.stored import load_weights_file
from ptrun.spec import DataSpec

# Networks halve the side five times. From 64 pixels on a map of 2x2 is left, so that batch norm has more than one
# number per channel even in a batch of one.
MIN_SIDE = 64
SMALL_BACKBONES = (  # in the order in which model=auto takes them
    *("mobilenet_v3_large", "efficientnet_b0", "mobilenet_v2", "resnet18", "resnet34", "resnet50"),
    *("mobilenet_v3_small", "squeezenet1_1"),
)
MIN_SIDE_OF = {"inception_v3": 107}
MIN_PATCHES_PER_SIDE = 4  # of vision transformers without pretrained weights
MAXVIT_SIDE = 224  # windows of 7x7 at stride 32
PRETRAINED_SIDE = {"vit_h_14": 518}
AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}
OTHER_TASKS = {
    "detection": "finds boxes in an image",
    "segmentation": "labels every pixel",
    "video": "reads video clips",
    "optical_flow": "compares two frames",
    "quantization": "is quantized for inference and can't be trained",
}


def backbone_at_hand(weights_file: str | None) -> tuple[str, str] | None:
    """A small pretrained network without a download, as (arch, weights): of a file, by its name, or of the cache."""
    if weights_file is not None:
        name = Path(weights_file).name
        fitting = [arch for arch in SMALL_BACKBONES if name.startswith(arch)]
        return (max(fitting, key=len), weights_file) if fitting else None
    cached = cached_files()
    if not cached:
        return None
    import torchvision

    return next(
        (
            (arch, weights.name)
            for arch in SMALL_BACKBONES
            for weights in torchvision.models.get_model_weights(arch)
            if weights.url.rsplit("/", 1)[-1] in cached
        ),
        None,
    )


def require_classifier(arch: str) -> None:
    """Raise ConfigError unless torchvision has an image classifier of that name."""
    import torchvision

    classifiers = torchvision.models.list_models(module=torchvision.models)
    if arch in classifiers:
        return
    if arch not in torchvision.models.list_models():
        raise ConfigError(
            f"model.arch: torchvision has no classifier '{arch}'.{did_you_mean(arch, classifiers)} "
            f"It has: {join_words(classifiers, 100)}."
        )
    package = torchvision.models.get_model_builder(arch).__module__.split(".")[2]
    purpose = OTHER_TASKS.get(package, "does something else")
    raise ConfigError(
        f"model.arch: '{arch}' is not an image classifier: it {purpose}. "
        f"The nearest classifier is '{_related(arch, classifiers)}'."
    )


def _related(arch: str, classifiers: Sequence[str]) -> str:
    """The longest name of a classifier that is part of another model's name, else the most similar name."""
    contained = [name for name in classifiers if name in arch]
    similar = difflib.get_close_matches(arch, classifiers, n=1, cutoff=0.0)
    return max(contained, key=len) if contained else similar[0]


class ImageInput(nn.Module):
    """Gives images the channels (gray ones three equal ones) and the size that the network needs.

    size: (height, width) of the output, or None to keep that of the images. channels: of the output.
    """

    def __init__(self, size: tuple[int, int] | None, channels: int = 3) -> None:
        super().__init__()
        self.size = size
        self.channels = channels

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, 1 or channels, height, width] to [batch, channels, *size]."""
        images = images.expand(-1, self.channels, -1, -1)
        if self.size is None or images.shape[-2:] == self.size:
            return images
        # Antialiasing only when shrinking: it does not change enlarged images, and some devices do not support it.
        shrinks = self.size[0] < images.shape[-2] or self.size[1] < images.shape[-1]
        return F.interpolate(images, self.size, mode="bilinear", align_corners=False, antialias=shrinks)


def input_size(arch: str, setting: int | str | None, pretrained: bool, image_size: Sequence[int]) -> tuple[int, int]:
    """Return the (height, width) at which a network reads images of `image_size`.

    setting: `auto` enlarges as little as the architecture allows, and shrinks only for networks with a fixed size;
        a number is the length of both sides; None keeps the size of the images.
    pretrained: whether the network gets pretrained weights.
    Raises ConfigError when the architecture can't read images of the size that results.
    """
    height, width = image_size
    patch = int(arch.rsplit("_", 1)[-1]) if arch.startswith("vit_") else 0
    if setting == "auto" and (patch or arch == "maxvit_t"):
        side = _fixed_side(arch, patch, pretrained, max(height, width))
        return side, side
    if setting == "auto":
        return enlarged(image_size, MIN_SIDE_OF.get(arch, MIN_SIDE))
    size = (height, width) if setting is None else (int(setting), int(setting))
    multiple = patch or (MAXVIT_SIDE if arch == "maxvit_t" else 1)
    if multiple > 1 and (size[0] != size[1] or size[0] % multiple):
        raise ConfigError(
            f"model.image_size: {arch} reads square images whose side is a multiple of {multiple}, "
            f"not {size[0]}x{size[1]}. Set model.image_size=auto, or a multiple of {multiple}."
        )
    return size


def enlarged(image_size: Sequence[int], min_side: int = MIN_SIDE) -> tuple[int, int]:
    """The (height, width) of images that are enlarged, if need be, until their shorter side has `min_side` pixels."""
    height, width = image_size
    scale = max(1.0, min_side / min(height, width))
    return math.ceil(height * scale), math.ceil(width * scale)


def size_notes(image_size: Sequence[int], size: Sequence[int]) -> tuple[str, ...]:
    """A sentence for the user when a network reads images of `image_size` (height, width) at another size."""
    if tuple(image_size) == tuple(size):
        return ()
    sizes = f"images of {image_size[0]}x{image_size[1]} pixels are resized to {size[0]}x{size[1]}"
    return (f"{sizes} inside the model (model.image_size)",)


def _fixed_side(arch: str, patch: int, pretrained: bool, side: int) -> int:
    """The side that a network with a fixed input size is built for; `side` is the longer one of the images."""
    if not patch:
        return MAXVIT_SIDE
    if pretrained:
        return PRETRAINED_SIDE.get(arch, 224)
    max_patches = 224 // patch
    return patch * min(max(math.ceil(side / patch), MIN_PATCHES_PER_SIDE), max_patches)


def build_network(arch: str, num_outputs: int, size: tuple[int, int], pretrained: bool) -> tuple[nn.Module, str]:
    """Return torchvision's network with `num_outputs` outputs and the name of its head, the last layer with weights."""
    import torchvision

    settings: dict[str, Any] = {"num_classes": num_outputs}
    if arch.startswith("vit_"):
        settings["image_size"] = size[0]
    if arch == "maxvit_t":
        settings["input_size"] = size
    if arch in AUXILIARY:  # their weights were trained on inputs in [-1, 1], to which transform_input scales
        settings |= {"aux_logits": False, "init_weights": True, "transform_input": pretrained}
    network: nn.Module = torchvision.models.get_model(arch, weights=None, **settings)
    head = [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    return network, head


def load_network(network: nn.Module, arch: str, weights: str, head: str, spec: DataSpec | None = None) -> str:
    """Load a file or torchvision's weights into a network, and return the sentence of `match_weights`.

    spec: of the data whose classes the head gives; None where the network is built with the outputs of ImageNet.
    Raises ConfigError for unknown weights, DataError if they can't be downloaded, CheckpointError if they don't fit.
    """
    path = Path(weights) if is_path(weights) else cached_weights(_weights_url(arch, weights), "model.weights")
    stored = load_weights_file(path)
    if arch.startswith("densenet"):
        stored = replace(stored, tensors={_current_densenet_name(name): t for name, t in stored.tensors.items()})
    return match_weights(network, stored, head=head, spec=spec, ignored=AUXILIARY.get(arch, ())).sentence


def _weights_url(arch: str, weights: str) -> str:
    import torchvision

    available = torchvision.models.get_model_weights(arch)
    name = weights.rsplit(".", 1)[-1]  # `ResNet50_Weights.IMAGENET1K_V2` is accepted too
    if name not in available.__members__:
        names = list(available.__members__)
        raise ConfigError(
            f"model.weights: torchvision has no weights '{weights}' of {arch}.{did_you_mean(name, names)} "
            f"It has: {join_words(names)}. Or name a .pth or .pt file, or null for random weights."
        )
    return str(available[name].url)


def _current_densenet_name(name: str) -> str:
    """Today's name, `norm1.weight`, of `norm.1.weight` in older files (see torchvision/models/densenet.py)."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", name)
