"""An ONNX file: a free batch size with a name, named inputs and outputs, metadata, and the outputs of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export.programs import FREE, INPUTS, OUTPUTS, SPEC, outputs_of, small_model

from ptrun.errors import ConfigError, ExportError
from ptrun.export import onnx_file, torch_program
from ptrun.export.check import compare, require_equal


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = torch_program.trace(small_model(), INPUTS[:3], FREE, "small")
    path = tmp_path_factory.mktemp("onnx") / "a.onnx"
    with path.open("wb") as file:
        onnx_file.write(onnx_file.convert(program, "features", FREE, OUTPUTS, "small"), file, {"license": "MIT"})
    return path


def check(path: Path) -> None:
    require_equal(
        compare(lambda batches: onnx_file.run_file(path, batches), INPUTS, lambda size: outputs_of(small_model()), SPEC)
    )


def test_onnxruntime_gives_the_same_outputs(exported: Path):
    check(exported)


def test_the_file_describes_itself(exported: Path):
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    (given,) = model.graph.input
    assert (given.name, [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]) == (
        "features",
        ["batch", 6],
    )
    shapes = {
        out.name: [d.dim_param or d.dim_value for d in out.type.tensor_type.shape.dim] for out in model.graph.output
    }
    assert shapes == {name: ["batch", 3] for name in OUTPUTS}
    assert onnx_file.metadata_of(exported) == {"license": "MIT"}


def test_a_changed_weight_is_found(exported: Path, tmp_path: Path):
    model = onnx.load(exported)
    weights = next(tensor for tensor in model.graph.initializer if list(tensor.dims) in ([3, 64], [64, 3]))
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[7] += 0.05
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(ExportError, match="computes other numbers than the checkpoint"):
        check(tmp_path / "changed.onnx")


def test_a_frozen_batch_size_is_found(exported: Path, tmp_path: Path):
    model = onnx.load(exported)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    onnx.save(model, tmp_path / "frozen.onnx")
    with pytest.raises(ExportError, match=r"can't be run on batches of 1, 2, 7: .*features.*It was not kept\."):
        check(tmp_path / "frozen.onnx")


def test_a_file_that_would_be_too_large_is_refused(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 1000)
    with (tmp_path / "a.onnx").open("wb") as file, pytest.raises(ConfigError, match="holds at most 1 kB"):
        onnx_file.write(onnx.load(exported), file, {})


def test_an_operation_without_a_counterpart_is_a_sentence():
    class Unusual(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(inputs)

    program = torch_program.trace(Unusual(), INPUTS[:3], FREE, "mine")
    with pytest.raises(ConfigError) as caught:
        onnx_file.convert(program, "features", FREE, ["logits"], "mine")
    assert str(caught.value).startswith("model: 'mine' can't be exported to ONNX: ")
    assert str(caught.value).endswith("Use format=torch_export, or format=safetensors for the weights alone.")


def test_outputs_are_float32(exported: Path):
    (outputs,) = onnx_file.run_file(exported, [INPUTS[:2]])
    assert {values.numpy().dtype for values in outputs.values()} == {np.dtype("float32")}
