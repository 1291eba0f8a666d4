"""ONNX: a traced program as a graph of ONNX operators, written to a .onnx file and run by onnxruntime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor
from torch.export import ExportedProgram

from ptrun.errors import ConfigError, first_line
from ptrun.export.check import Outputs
from ptrun.export.quiet import quiet
from ptrun.terminal.format import format_bytes

MAX_BYTES = 2**31 - 1  # of one protobuf message
_QUIET = 3  # onnxruntime's level for errors


def convert(
    program: ExportedProgram, input_name: str, free: Mapping[int, str], output_names: Sequence[str], model_name: str
) -> Any:
    """The ONNX model (a ModelProto) of a traced program.

    free: the dimensions of the input that have no fixed size, with their names.
    Raises ConfigError when an operation has no counterpart.
    """
    try:
        with quiet():
            exported = torch.onnx.export(
                program, dynamo=True, input_names=[input_name], output_names=list(output_names), verbose=False
            )
            assert exported is not None
            model = exported.model_proto
    except Exception as error:  # torch and onnxscript have many types for what they can't convert
        raise ConfigError(
            f"model: '{model_name}' can't be exported to ONNX: {first_line(error)}. Use format=torch_export, "
            "or format=safetensors for the weights alone."
        ) from error
    _name_dimensions(model, free)
    return model


def _name_dimensions(model: Any, free: Mapping[int, str]) -> None:
    """Give the free dimensions of the input their names, where torch calls them s77."""
    (model_input,) = model.graph.input
    dimensions = model_input.type.tensor_type.shape.dim
    names = {dimensions[number].dim_param: name for number, name in free.items()}
    for value in (model_input, *model.graph.output, *model.graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            dimension_name = names.get(dimension.dim_param)
            if dimension_name:
                dimension.dim_param = dimension_name


def write(model: Any, file: BinaryIO, metadata: Mapping[str, str]) -> None:
    """Write an ONNX model with its metadata. Raises ConfigError for one that is larger than a file can be."""
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    if model.ByteSize() > MAX_BYTES:
        raise ConfigError(
            f"The ONNX file would have {format_bytes(model.ByteSize())}, and such a file holds at most "
            f"{format_bytes(MAX_BYTES)}. Use precision=fp16, or format=torch_export."
        )
    file.write(model.SerializeToString())


def run_file(path: Path, batches: Iterable[Tensor]) -> list[Outputs]:
    """The outputs of a .onnx file for each batch, by onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    (model_input,) = session.get_inputs()
    return [
        dict(zip(names, map(torch.from_numpy, session.run(names, {model_input.name: batch.numpy()})), strict=True))
        for batch in batches
    ]


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata of a file."""
    import onnx

    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}
