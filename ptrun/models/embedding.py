"""Embeddings: the features of a sample from which a network's head computes its outputs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.models.layers.autoregression import Autoregression
from ptrun.models.linear import ColumnwiseLinear


class Embedder:
    """Gives the input of a network's head, which is the last linear layer that is called.

    A convolution of 1x1 pixels with `num_outputs` channels can be the head too, as in squeezenet; its input is averaged
    over the pixels. The linear map of a forecast's whole window (`autoregression`) is not the head. The network is used
    as it is: put it into evaluation mode first.
    """

    def __init__(self, network: nn.Module, num_outputs: int) -> None:
        """Raises ConfigError for a network without a linear layer."""
        self.network = network
        beside = {
            layer for module in network.modules() if isinstance(module, Autoregression) for layer in module.modules()
        }
        self._layers = [layer for layer in network.modules() if _is_linear(layer, num_outputs) and layer not in beside]
        if not self._layers:
            raise ConfigError(
                f"model: '{type(network).__name__}' has no linear layer, so there is no embedding: that would be the "
                "input of the last one."
            )

    def __call__(self, inputs: Tensor) -> Tensor:
        """Map inputs of the network to [batch, features], by one forward pass."""
        latest: list[Tensor] = []

        def keep(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
            latest[:] = [arguments[0].mean(dim=(2, 3)) if isinstance(layer, nn.Conv2d) else arguments[0]]

        with ExitStack() as hooks:
            for layer in self._layers:
                hooks.callback(layer.register_forward_pre_hook(keep).remove)
            self.network(inputs)
        return latest[0].reshape(len(inputs), -1)


def _is_linear(layer: nn.Module, num_outputs: int) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size == (1, 1) and layer.out_channels == num_outputs
    return isinstance(layer, nn.Linear | ColumnwiseLinear)
