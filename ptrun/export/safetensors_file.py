"""safetensors: the weights of a model by name, without code and without the computation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn


def write(model: nn.Module, file: BinaryIO, metadata: Mapping[str, str], dtype: torch.dtype) -> None:
    """Write the weights of a model, floating ones in `dtype`, with the names of its `state_dict`."""
    from safetensors.torch import save

    file.write(save(_weights(model, dtype), metadata=dict(metadata)))


def _weights(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Each tensor with memory of its own, as the format asks for."""
    return {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }


def read(path: Path) -> dict[str, Tensor]:
    """The weights of a file by name."""
    import safetensors.torch

    weights: dict[str, Tensor] = safetensors.torch.load_file(path)
    return weights


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata of a file."""
    import safetensors

    with safetensors.safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
