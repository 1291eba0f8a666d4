"""The package timm: its networks by name, what each one expects of images, and its published weights.

timm is imported only when one of its networks is asked for: it is an extra, and its import takes long.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ptrun.errors import ConfigError, DataError, did_you_mean, first_line, join_words
from ptrun.files.weights_path import is_path

_BUILD_ERRORS = (TypeError, ValueError, AssertionError, RuntimeError, KeyError, IndexError)


@dataclass(frozen=True)
class Expected:
    """What a network expects of images.

    side: (height, width) of its published weights. fixed: whether it reads that size alone.
    mean, std: of the channels, with which its published weights were trained.
    heads: names of the layers that give the outputs; two for a distilled network.
    """

    side: tuple[int, int]
    fixed: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    heads: tuple[str, ...]


def expected_by(arch: str, weights: str | None = None) -> Expected:
    """What timm says about a network, without a download. Raises ConfigError for an unknown network or unknown weights.

    weights: as in `create`; their statistics may differ from those of other weights.
    """
    library = _timm()
    if not library.is_model(arch):
        raise ConfigError(f"model.arch: {_unknown(arch, library.list_models())}")
    config = library.models.get_pretrained_cfg(_with_tag(library, arch, weights))
    if config is None:
        return Expected((224, 224), False, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), ("",))
    heads = (config.classifier,) if isinstance(config.classifier, str) else tuple(config.classifier or ("",))
    return Expected(tuple(config.input_size[1:]), config.fixed_input_size, tuple(config.mean), tuple(config.std), heads)


def create(arch: str, weights: str | None, num_outputs: int, channels: int, side: tuple[int, int] | None) -> nn.Module:
    """Build a network, with published weights where `weights` names some (DEFAULT or a tag).

    side: (height, width) for a network with a fixed size that is built for another one than its own; else None.
    Raises ConfigError for sizes that the network can't have, DataError for weights that can't be downloaded.
    """
    library = _timm()
    name = _with_tag(library, arch, weights)
    pretrained = weights is not None and not is_path(weights)
    size: dict[str, Any] = {} if side is None else {"img_size": side}
    try:
        network: nn.Module = library.create_model(
            name, pretrained=pretrained, num_classes=num_outputs, in_chans=channels, **size
        )
    except Exception as error:
        reason = first_line(error)
        if side is not None and isinstance(error, _BUILD_ERRORS):
            raise ConfigError(_size_problem(arch, side, reason)) from error
        if pretrained:
            raise DataError(
                f"The weights {name} of timm can't be downloaded ({reason}). Connect to the network, or name a file "
                "that you have with model.weights=FILE."
            ) from error
        raise
    return network


def require_readable(network: nn.Module, arch: str, image: Any) -> None:
    """Raise ConfigError when the network can't read `image` [1, channels, height, width]."""
    try:
        network.eval()(image)
    except _BUILD_ERRORS as error:
        raise ConfigError(_size_problem(arch, image.shape[-2:], first_line(error))) from error
    finally:
        network.train()


def _size_problem(arch: str, side: Sequence[int], reason: str) -> str:
    own = expected_by(arch).side
    return (
        f"model.image_size: {arch} can't read images of {side[0]}x{side[1]} pixels ({reason}). "
        f"Its own size is {own[0]}x{own[1]}: model.image_size=auto, or try a multiple of 32."
    )


def _with_tag(library: Any, arch: str, weights: str | None) -> str:
    """The name of a network together with its weights, as timm writes it. Raises ConfigError for unknown weights."""
    if weights is None or is_path(weights) or weights == "DEFAULT":
        return arch
    tags = [name.partition(".")[2] for name in library.list_pretrained(f"{arch.partition('.')[0]}.*")]
    if weights not in tags:
        raise ConfigError(
            f"model.weights: timm has no weights '{weights}' of {arch}.{did_you_mean(weights, tags)} It has: "
            f"{join_words(tags) or 'none'}. Or write DEFAULT, name a file, or null for random weights."
        )
    return f"{arch.partition('.')[0]}.{weights}"


def _unknown(arch: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(arch, names, n=4, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    return (
        f"timm has no network '{arch}'.{hint} It has {len(names)}: "
        "python -c 'import timm; print(timm.list_models())' lists them."
    )


def _timm() -> Any:
    try:
        import timm
    except ImportError as missing:
        raise ConfigError(
            "model=timm needs the package 'timm', which is not installed. Install it with: pip install \"ptrun[timm]\""
        ) from missing
    return timm
