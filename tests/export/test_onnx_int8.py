"""Linear layers of an ONNX model in int8: the file runs on every batch size and stays near the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from export.programs import FREE, INPUTS, OUTPUTS, SPEC, outputs_of, small_model

from ptrun.errors import ConfigError
from ptrun.export import onnx_file, onnx_int8, torch_program
from ptrun.export.check import compare, require_finite


def onnx_model(module: torch.nn.Module) -> Any:
    program = torch_program.trace(module, INPUTS[:3], FREE, "small")
    return onnx_file.convert(program, "features", FREE, OUTPUTS, "small")


def test_linear_layers_are_quantized(tmp_path: Path):
    served = small_model()
    quantized = onnx_int8.quantize(onnx_model(served), "small")
    operators = {node.op_type for node in quantized.graph.node}
    assert not operators & set(onnx_int8.LINEAR_OPERATORS)
    with (tmp_path / "a.onnx").open("wb") as file:
        onnx_file.write(quantized, file, {})
    comparisons = compare(
        lambda batches: onnx_file.run_file(tmp_path / "a.onnx", batches), INPUTS, lambda size: outputs_of(served), SPEC
    )
    require_finite(comparisons)
    # With signed weights it is 0.5 on processors without instructions for such products.
    assert 0 < max(each.shares["logits"] for each in comparisons) < 0.05


def test_a_model_without_linear_layers_is_refused():
    class Sums(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return inputs + 1, inputs - 1

    with pytest.raises(ConfigError, match="model 'mine' has no linear layers"):
        onnx_int8.quantize(onnx_model(Sums()), "mine")
