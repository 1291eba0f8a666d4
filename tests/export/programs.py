"""A small model with its program, which the tests of several formats export."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptrun.export.check import Outputs
from ptrun.export.served import Served, Standardize, make_outputs
from ptrun.spec import DataSpec, Layout, Task

SPEC = DataSpec(layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(6,), num_outputs=3)
INPUTS = 10 + 3 * torch.randn(70, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
OUTPUTS = ("logits", "probabilities")
FREE = {0: "batch"}  # the dimensions of an input that have no fixed size


def small_model() -> Served:
    """Two linear layers with fixed weights."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))
    return Served(Standardize([10.0] * 6, [3.0] * 6), network, make_outputs(SPEC, False))


def outputs_of(served: Served, inputs: Tensor = INPUTS) -> Outputs:
    with torch.no_grad():
        outputs: Outputs = served(inputs)
    return outputs
