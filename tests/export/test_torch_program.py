"""A program of torch operations: traced with a free batch size, stored, and run by a process without ptrun."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from export.programs import FREE, INPUTS, SPEC, outputs_of, small_model
from torch import Tensor, nn

from ptrun.errors import ConfigError, ExportError
from ptrun.export import torch_program
from ptrun.export.check import compare, require_equal


def write(path: Path, program: torch.export.ExportedProgram) -> Path:
    with path.open("wb") as file:
        torch_program.write(program, file, {"license": "MIT"})
    return path


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_outputs(tmp_path: Path):
    served = small_model()
    path = write(tmp_path / "a.pt2", torch_program.trace(served, INPUTS[:3], FREE, "small"))
    require_equal(
        compare(lambda batches: torch_program.run_file(path, batches), INPUTS, lambda size: outputs_of(served), SPEC)
    )
    extra = {torch_program.METADATA: ""}
    loaded = torch.export.load(path, extra_files=extra)
    assert loaded.example_inputs is None, "a file holds no samples of the user's data"
    assert json.loads(extra[torch_program.METADATA]) == {"license": "MIT"}


@pytest.mark.slow
def test_a_damaged_file_is_a_sentence(tmp_path: Path):
    (tmp_path / "a.pt2").write_bytes(b"PK no archive")
    with pytest.raises(ExportError, match=r"can't be run by torch: .*\. It was not kept\."):
        torch_program.run_file(tmp_path / "a.pt2", [INPUTS[:1]])


class FixedBatch(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.reshape(int(inputs.shape[0]), 3, 2).flatten(1)


class Branches(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs if inputs.sum() > 0 else -inputs


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (FixedBatch(), "its code fixes the number of samples in a batch, for example by len(inputs)"),
        (Branches(), "its code branches on values that are known only when it runs; torch.where chooses without"),
    ],
)
def test_what_can_not_be_traced_is_named_with_the_reason(module: nn.Module, reason: str):
    with pytest.raises(ConfigError) as caught:
        torch_program.trace(module, INPUTS[:3], FREE, "mine")
    assert str(caught.value).startswith(f"model: 'mine' can't be exported: {reason}")
    assert "format=safetensors exports the weights of any model." in str(caught.value)


def test_the_line_of_the_model_is_named():
    with pytest.raises(ConfigError, match=r"test_torch_program\.py, line \d+: return inputs if inputs\.sum\(\) > 0"):
        torch_program.trace(Branches(), INPUTS[:3], FREE, "mine")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_weights_are_stored_short_and_computed_with_in_float32(tmp_path: Path, dtype: torch.dtype):
    served = small_model()
    for parameter in served.model.parameters():
        parameter.data = parameter.data.to(dtype).float()
    program = torch_program.store_weights_as(torch_program.trace(served, INPUTS[:3], FREE, "small"), dtype)
    loaded = torch.export.load(write(tmp_path / "a.pt2", program))
    assert {tensor.dtype for name, tensor in loaded.state_dict.items() if name.startswith("model.")} == {dtype}
    got = loaded.module()(INPUTS)
    assert all(torch.equal(got[name], values) for name, values in outputs_of(served).items())
