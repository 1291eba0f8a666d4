"""Sequences of unequal lengths: which time steps of a batch are padding, and layers that pass them over.

What a model computes for a sequence does not depend on how many steps of padding stand before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def split_padding(sequences: Tensor) -> tuple[Tensor, Tensor]:
    """Split [batch, time, channels] of a data set that has a padding channel (`DataSpec.padding_channel`).

    Returns the measured channels, and a mask [batch, time] that is true where a step is padding.
    """
    return sequences[..., :-1], sequences[..., -1] > 0.5


def final_lstm_state(lstm: nn.LSTM, sequences: Tensor, padding: Tensor) -> Tensor:
    """The final hidden state of the top layer [batch, directions * hidden], of the steps that are no padding.

    nn.LSTM would need packed sequences for this, which torch.export can't follow. Here each layer and direction is a
    call of its own, on sequences that begin at the first time step, so that all padding comes after the last step.
    """
    lengths = (~padding).sum(dim=1)
    steps = torch.arange(sequences.shape[1], device=sequences.device)
    inputs = _steps_at(sequences, steps + (len(steps) - lengths).unsqueeze(1))
    backwards = lengths.unsqueeze(1) - 1 - steps
    directions = 2 if lstm.bidirectional else 1
    for layer in range(lstm.num_layers):
        if layer > 0:
            inputs = F.dropout(inputs, lstm.dropout, lstm.training)
        weights = lstm.all_weights[layer * directions : (layer + 1) * directions]
        outputs = [_lstm_layer(inputs, weights[0], lstm)]
        if lstm.bidirectional:
            outputs.append(_lstm_layer(_steps_at(inputs, backwards), weights[1], lstm))
        last = [_steps_at(output, lengths.unsqueeze(1) - 1)[:, 0] for output in outputs]
        inputs = torch.cat([outputs[0], *(_steps_at(output, backwards) for output in outputs[1:])], dim=2)
    return torch.cat(last, dim=1)


def _lstm_layer(inputs: Tensor, weights: Sequence[Tensor], lstm: nn.LSTM) -> Tensor:
    """One layer in one direction, from a state of zeros: [batch, time, features] to [batch, time, hidden]."""
    zeros = inputs.new_zeros(1, inputs.shape[0], lstm.hidden_size)
    outputs: Tensor = torch.lstm(inputs, (zeros, zeros), list(weights), lstm.bias, 1, 0.0, lstm.training, False, True)[
        0
    ]
    return outputs


def _steps_at(sequences: Tensor, positions: Tensor) -> Tensor:
    """The time steps at `positions` [batch, time]; one outside the sequence becomes the first or the last step."""
    inside = positions.clamp(0, sequences.shape[1] - 1)
    return sequences.gather(1, inside.unsqueeze(2).expand(-1, -1, sequences.shape[2]))


def convolve(layers: nn.Sequential, maps: Tensor, padding: Tensor) -> Tensor:
    """Convolutions, batch norm and ReLU along the time of maps [batch, channels, time], which are zero in the padding.

    Padding stays zero, as what stands around a whole sequence, and batch norm in training measures the other steps.
    """
    real = ~padding
    for layer in layers:
        maps = _normalize(layer, maps, real) if isinstance(layer, nn.BatchNorm1d) else layer(maps)
        if isinstance(layer, nn.ReLU):
            maps = maps * real.unsqueeze(1)
    return maps


def _normalize(norm: nn.BatchNorm1d, maps: Tensor, real: Tensor) -> Tensor:
    """Batch norm, which in training measures the real steps only."""
    if not norm.training:
        normalized: Tensor = norm(maps)
        return normalized
    steps = maps.transpose(1, 2)
    return torch.zeros_like(steps).masked_scatter(real.unsqueeze(2), norm(steps[real])).transpose(1, 2)


def mean_of_steps(maps: Tensor, padding: Tensor) -> Tensor:
    """The mean over time [batch, channels] of maps [batch, channels, time] that are zero where a step is padding."""
    return maps.sum(dim=2) / (~padding).sum(dim=1, keepdim=True)
