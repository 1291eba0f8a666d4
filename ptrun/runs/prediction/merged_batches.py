"""Gives several batches to a small network at once, where that changes no bit of its outputs.

A small network needs more time to be called than to compute. In which order a matrix product adds up depends on its
shape, so that outputs may differ with the size of the batch. For networks that treat each row by itself it does not
depend on the numbers: rows of one shape that gave equal bits once, give equal bits always.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptrun.models.simplenet import SimpleNet
from ptrun.runs.trained_model import TrainedModel

MERGED = 8  # batches: more of them no longer stay in the CPU's cache
_MAX_WIDTH = 4096  # of a layer: in wider ones, the call does not count
_LAYERS = (SimpleNet, nn.Sequential, nn.Flatten, nn.Linear, nn.ReLU, nn.LayerNorm, nn.BatchNorm1d, nn.Dropout)
_ALIGNED_BYTES = 64  # where torch puts tensors; a sum in another place may be added up in another order


class MergedBatches:
    """The outputs of a model for rows, as for batches of a given size, bit for bit."""

    def __init__(self, member: TrainedModel) -> None:
        self._member = member
        width = max((p.shape[0] for p in member.model.parameters() if p.ndim), default=1)
        is_small = width <= _MAX_WIDTH and member.runtime.device.type == "cpu"
        self._is_possible = is_small and _treats_rows_by_themselves(member.model)
        self._are_equal: dict[tuple[torch.Size, int], bool] = {}

    def outputs(self, inputs: Tensor, batch_size: int) -> Tensor:
        """Raw outputs [rows, num_outputs]."""
        if not self._is_possible:
            return self._by_batch(inputs, batch_size)
        aligned = inputs.clone() if inputs.data_ptr() % _ALIGNED_BYTES else inputs
        groups = torch.split(aligned, MERGED * batch_size)
        return torch.cat([self._of_group(group, batch_size) for group in groups])

    def _of_group(self, inputs: Tensor, batch_size: int) -> Tensor:
        """The outputs of some batches. The first group of each shape is computed in both ways and compared."""
        shape = inputs.shape, batch_size
        if self._are_equal.get(shape, False):
            return self._member.outputs(inputs)
        outputs = self._by_batch(inputs, batch_size)
        if shape not in self._are_equal and len(inputs) > batch_size:
            self._are_equal[shape] = _same_bits(self._member.outputs(inputs), outputs)
        return outputs

    def _by_batch(self, inputs: Tensor, batch_size: int) -> Tensor:
        return torch.cat([self._member.outputs(batch) for batch in torch.split(inputs, batch_size)])


def _same_bits(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first.view(torch.int32), second.view(torch.int32))


def _treats_rows_by_themselves(model: nn.Module) -> bool:
    """Whether a network is nothing but layers whose output for a row depends on that row alone."""
    return not model.training and all(type(module) in _LAYERS for module in model.modules())
