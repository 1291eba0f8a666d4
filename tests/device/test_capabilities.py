"""What each kind of device can do; a machine without a GPU says so."""

from __future__ import annotations

import pytest
import torch

from ptrun.device import capabilities


@pytest.mark.parametrize(
    ("name", "pinned", "graphs", "float64"),
    [("cpu", False, False, True), ("cuda", True, True, True), ("mps", False, False, False)],
)
def test_kinds_of_devices(name: str, pinned: bool, graphs: bool, float64: bool):
    device = torch.device(name)
    assert capabilities.uses_pinned_memory(device) == pinned
    assert capabilities.has_graphs(device) == graphs
    assert capabilities.has_float64(device) == float64


def test_gpus_are_described_by_name():
    gpus = dict(capabilities.describe_gpus())
    if torch.cuda.is_available():
        assert torch.cuda.get_device_name(0) in gpus["cuda:0"]
    else:
        assert gpus["cuda"].startswith("none")
    assert ("mps" in gpus) == torch.backends.mps.is_available()
