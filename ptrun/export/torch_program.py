"""torch.export: a module as a program of torch operations, written to a .pt2 file and run by torch alone."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from ptrun.errors import ConfigError, ExportError, first_line
from ptrun.export.check import Outputs
from ptrun.export.quiet import quiet

METADATA = "metadata.json"  # the extra file of an archive that describes the model

# Run by a fresh Python that imports torch and NumPy only, as a user would. Batches come and outputs go as .npy files.
_READER = """
import sys, numpy, torch
program = torch.export.load(sys.argv[1]).module()
for number in range(int(sys.argv[3])):
    batch = torch.from_numpy(numpy.load(f"{sys.argv[2]}/{number}.npy"))
    with torch.inference_mode():
        outputs = program(batch)
    numpy.savez(f"{sys.argv[2]}/{number}.npz", **{name: values.numpy() for name, values in outputs.items()})
"""


def trace(module: nn.Module, example: Tensor, free: Mapping[int, str], model_name: str) -> ExportedProgram:
    """The program of a module.

    example: at least two inputs. free: the dimensions of inputs that have no fixed size, with their names.
    Raises ConfigError naming the model and the reason when it can't be traced.
    """
    try:
        with quiet():
            dimensions = {number: Dim(name) for number, name in free.items()}
            program = torch.export.export(module, (example,), dynamic_shapes=(dimensions,))
    except Exception as error:  # torch has many types for what it can't trace
        raise ConfigError(_reason(error, model_name)) from error
    program.example_inputs = None  # they would be written into the file: samples of the user's data
    return program


def _reason(error: Exception, model_name: str) -> str:
    text = str(error)
    if "specialized" in text or "Constraints violated" in text:
        reason = (
            "its code fixes the number of samples in a batch, for example by len(inputs) instead of inputs.shape[0]"
        )
    elif "data-dependent" in text:
        reason = "its code branches on values that are known only when it runs; torch.where chooses without a branch"
    else:
        reason = f"torch.export can't trace it: {first_line(error)}"
    return (
        f"model: '{model_name}' can't be exported: {reason}{_place(error)}. format=safetensors exports the weights of "
        "any model."
    )


def _place(error: Exception) -> str:
    """The last line of the model's own code that was running, in parentheses; "" when there is none."""
    of_others = (str(Path(torch.__file__).parent), str(Path(__file__).parent), str(Path(contextlib.__file__)), "<")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(of_others)]
    return f" ({frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""


def store_weights_as(program: ExportedProgram, dtype: torch.dtype) -> ExportedProgram:
    """The program with its float32 weights stored in a shorter format and computed with in float32, in place."""
    graph = program.graph_module.graph
    nodes = {node.name: node for node in graph.nodes if node.op == "placeholder"}
    first = next(node for node in graph.nodes if node.op != "placeholder")
    kinds = (InputKind.PARAMETER, InputKind.BUFFER)
    for spec in program.graph_signature.input_specs:
        target = spec.target
        if spec.kind not in kinds or target is None or not target.startswith("model."):
            continue
        tensor = program.state_dict.get(target)
        if tensor is None or tensor.dtype is not torch.float32:
            continue
        node = nodes[spec.arg.name]
        program.state_dict[target] = _like(tensor, tensor.detach().to(dtype))
        with graph.inserting_before(first):
            cast = graph.call_function(torch.ops.aten.to.dtype, (node, torch.float32))
        cast.meta = dict(node.meta)
        node.meta = {**node.meta, "val": node.meta["val"].to(dtype)}
        node.replace_all_uses_with(cast, delete_user_cb=lambda user, cast=cast: user is not cast)
    graph.lint()
    program.graph_module.recompile()
    return program


def _like(original: Tensor, tensor: Tensor) -> Tensor:
    return nn.Parameter(tensor, requires_grad=False) if isinstance(original, nn.Parameter) else tensor


def write(program: ExportedProgram, file: BinaryIO, metadata: Mapping[str, str]) -> None:
    """Write a program and its metadata."""
    with quiet():
        torch.export.save(program, file, extra_files={METADATA: json.dumps(dict(metadata), indent=1)})


def run_file(path: Path, batches: Iterable[Tensor]) -> list[Outputs]:
    """The outputs of a .pt2 file for each batch, in a process of its own. Raises ExportError when that fails."""
    with tempfile.TemporaryDirectory() as folder:
        count = 0
        for count, batch in enumerate(batches, start=1):
            np.save(Path(folder) / f"{count - 1}.npy", batch.numpy())
        command = [sys.executable, "-c", _READER, str(path), folder, str(count)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise ExportError(f"The exported file can't be run by torch: {lines[-1].rstrip('.')}. It was not kept.")
        return [_read(Path(folder) / f"{number}.npz") for number in range(count)]


def _read(path: Path) -> Outputs:
    with np.load(path) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
