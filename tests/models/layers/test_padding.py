"""What a model computes for a sequence does not depend on the padding before it, nor on the others of its batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from ptrun.models.attention import attention
from ptrun.models.fcn import fcn
from ptrun.models.layers.padding import final_lstm_state
from ptrun.models.lstm import lstm
from ptrun.models.transformer import transformer
from ptrun.spec import DataSpec, Layout, Task

LENGTHS = (5, 1, 9, 3)
MODELS: dict[str, Callable[[DataSpec], nn.Module]] = {
    "fcn": partial(fcn, channels=[6, 5], kernel_sizes=[4, 3]),
    "lstm": partial(lstm, hidden_features=6),
    "lstm of two layers": partial(lstm, hidden_features=6, num_layers=2),
    "lstm in both directions": partial(lstm, hidden_features=6, num_layers=2, bidirectional=True),
    "attention": partial(attention, width=8, dropout=0.0),
    "attention, last": partial(attention, width=8, dropout=0.0, pooling="last"),
    "attention, cls": partial(attention, width=8, dropout=0.0, pooling="cls"),
    "transformer": partial(transformer, width=8, dropout=0.0),
    "transformer, causal": partial(transformer, width=8, dropout=0.0, causal=True),
    "transformer, cls": partial(transformer, width=8, dropout=0.0, pooling="cls"),
}


def make(name: str, num_steps: int, *, padding_channel: bool = True) -> nn.Module:
    torch.manual_seed(0)
    spec = DataSpec(
        layout=Layout.SEQUENCE,
        task=Task.CLASSIFICATION,
        input_shape=(num_steps, 2 + padding_channel),
        num_outputs=3,
        padding_channel=padding_channel,
    )
    return MODELS[name](spec)


def sequences() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(length, 2) for length in LENGTHS]


def padded(values: list[Tensor], num_steps: int) -> Tensor:
    batch = torch.zeros(len(values), num_steps, 3)
    for row, sequence in zip(batch, values, strict=True):
        row[num_steps - len(sequence) :, :2] = sequence
        row[: num_steps - len(sequence), 2] = 1.0
    return batch


@pytest.mark.parametrize("name", MODELS)
def test_more_padding_changes_nothing(name: str):
    short, long = make(name, 9), make(name, 17)
    for training in (True, False):  # batch norm learns its running statistics in the first pass
        outputs = [model.train(training)(padded(sequences(), steps)) for model, steps in ((short, 9), (long, 17))]
        torch.testing.assert_close(outputs[0], outputs[1])
        grads = [
            torch.autograd.grad(output.square().sum(), model.parameters())
            for output, model in zip(outputs, (short, long), strict=True)
        ]
        torch.testing.assert_close(grads[0], grads[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(short.state_dict(), long.state_dict())


@pytest.mark.parametrize("name", MODELS)
def test_each_sequence_alone_and_unpadded_gives_the_same(name: str):
    model = make(name, 9)
    model(padded(sequences(), 9))
    outputs = model.eval()(padded(sequences(), 9))
    for sequence, output in zip(sequences(), outputs, strict=True):
        alone = make(name, len(sequence), padding_channel=False).eval()
        alone.load_state_dict(model.state_dict())
        torch.testing.assert_close(alone(sequence.unsqueeze(0))[0], output)


def test_the_layers_of_an_lstm_drop_out_in_between():
    torch.manual_seed(0)
    layers = nn.LSTM(2, 8, 2, batch_first=True, dropout=0.5)
    values = torch.randn(4, 6, 2)
    padding = torch.zeros(4, 6, dtype=torch.bool)
    first, second = (final_lstm_state(layers, values, padding) for _ in range(2))
    assert not torch.equal(first, second)
    layers.eval()
    torch.testing.assert_close(final_lstm_state(layers, values, padding), layers(values)[1][0][-1])
