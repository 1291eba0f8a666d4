"""`ptrun export`: writes a trained model for other programs, and checks the file against the checkpoint.

The file gets its name only after it was run by the program that will read it and gave the checkpoint's outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ptrun.build.export import build_served, read_in_chunks
from ptrun.build.model import build_model, build_views
from ptrun.checkpoint import state
from ptrun.errors import ConfigError
from ptrun.export import onnx_file, onnx_int8, safetensors_file, torch_program
from ptrun.export.check import (
    Comparison,
    Outputs,
    compare,
    compare_outputs,
    compare_sizes,
    require_equal,
    require_finite,
)
from ptrun.export.formats import FORMATS
from ptrun.export.quality import require_quality
from ptrun.export.served import OUTPUT_MEANINGS
from ptrun.files.atomic import replacing
from ptrun.files.writable import make_writable
from ptrun.plugins import attribute_plugin_errors
from ptrun.runs.sharing import export_display
from ptrun.runs.sharing.export_parts import (
    DTYPES,
    Export,
    ExportRequest,
    expected_outputs,
    metadata_of,
    predictions_of,
    prepare_export,
)
from ptrun.terminal.console import Console


def run(request: ExportRequest) -> Path:
    """Export a checkpoint and print what was written; returns the file. Raises PtrunError, and leaves no wrong file."""
    export = prepare_export(request)
    console = Console(request.quiet)
    export_display.show_header(export, console)
    path = _output_path(export)
    with attribute_plugin_errors(export.config.model.name), replacing(path, durable=True) as file:
        _WRITERS[request.format](export, file)
        file.flush()
        comparisons = check_file(export, Path(file.name))
        notes = _notes_on_precision(export, Path(file.name))
    export_display.show_result(export, path, comparisons, notes, console)
    return path


def check_file(export: Export, path: Path) -> list[Comparison]:
    """Run an exported file on the samples in batches of several sizes, and compare it with the checkpoint.

    Raises ExportError when it can't be run or computes something else; int8 computes something else by design, so there
    only numbers are asked for.
    """
    run_file = partial(_READERS[export.request.format], export, path)
    expect = partial(expected_outputs, export.trained, export.inputs, export.samples.values)
    comparisons = compare(run_file, export.raw_samples, expect, export.trained.spec)
    if export.inputs.takes_any_size:
        expect_one = partial(expected_outputs, export.trained, export.inputs)
        comparisons.append(compare_sizes(run_file, export.raw_samples, expect_one, export.trained.spec))
    if export.request.precision == "int8":
        require_finite(comparisons)
    else:
        require_equal(comparisons)
    return comparisons


def _output_path(export: Export) -> Path:
    """The file to write, in a folder that exists.

    Raises ConfigError when it is a folder itself, ResourceError when its folder can't be written to.
    """
    request, config = export.request, export.config
    default = f"{config.model.name}-{config.dataset.name}{FORMATS[request.format].suffix}"
    path = Path(request.output or default).expanduser()
    if path.is_dir():
        raise ConfigError(f"output: {path} is a folder. Name a file in it, such as {path / default}.")
    make_writable(path.parent, "output")
    return path


def _trace(export: Export) -> torch.export.ExportedProgram:
    """The program of the model, with its weights stored as they were asked for."""
    free, name = export.inputs.free_dimensions, export.config.model.name
    program = torch_program.trace(export.served, export.raw_samples[:3], free, name)
    dtype = DTYPES[export.request.precision]
    return program if dtype is torch.float32 else torch_program.store_weights_as(program, dtype)


def _write_onnx(export: Export, file: BinaryIO) -> None:
    outputs = tuple(OUTPUT_MEANINGS[export.trained.spec.task])
    inputs, name = export.inputs, export.config.model.name
    model = onnx_file.convert(_trace(export), inputs.name, inputs.free_dimensions, outputs, name)
    if export.request.precision == "int8":
        model = onnx_int8.quantize(model, name)
    onnx_file.write(model, file, metadata_of(export))


def _write_program(export: Export, file: BinaryIO) -> None:
    torch_program.write(_trace(export), file, metadata_of(export))


def _write_weights(export: Export, file: BinaryIO) -> None:
    safetensors_file.write(export.trained.network, file, metadata_of(export), DTYPES[export.request.precision])


def _run_weights(export: Export, path: Path, batches: Iterable[Tensor]) -> list[Outputs]:
    """The outputs of a model that is made anew and gets the weights of a file."""
    config, spec = export.config, export.trained.spec
    network = build_model(config, spec, restoring=True)
    state.load_weights(network, safetensors_file.read(path), str(path))
    served = build_served(config, spec, export.inputs, build_views(config, spec)(network))
    with torch.inference_mode():
        return [served(batch) for batch in batches]


_WRITERS: Mapping[str, Callable[[Export, BinaryIO], None]] = {
    "onnx": _write_onnx,
    "torch_export": _write_program,
    "safetensors": _write_weights,
}
_READERS: Mapping[str, Callable[[Export, Path, Iterable[Tensor]], list[Outputs]]] = {
    "onnx": lambda export, path, batches: onnx_file.run_file(path, batches),
    "torch_export": lambda export, path, batches: torch_program.run_file(path, batches),
    "safetensors": _run_weights,
}


def _notes_on_precision(export: Export, path: Path) -> Sequence[str]:
    """What a shorter number format changes."""
    precision = export.request.precision
    if precision == "fp32":
        return ()
    if precision == "int8":
        return (_quality_of_int8(export, path),)
    samples, spec = export.samples.values, export.trained.spec
    exact = expected_outputs(export.original, export.inputs, samples)
    short = expected_outputs(export.trained, export.inputs, samples)
    rounding = compare_outputs(short, exact, len(samples), spec)
    return (f"Weights rounded to {precision}: {export_display.rounding_in_words(rounding)}.",)


def _quality_of_int8(export: Export, path: Path) -> str:
    """The main metric of the file and of the checkpoint on samples that were not trained on, in a sentence."""
    prepared = export.samples.prepared
    assert prepared is not None  # prepare_export made sure of it
    name, split = ("val", prepared.data.val) if len(prepared.data.val) else ("test", prepared.data.test)
    trained = export.original
    chunks = read_in_chunks(prepared, split, export.inputs)
    exact = torch.cat([trained.outputs(export.inputs.to_trained(chunk)) for chunk in chunks])
    quantized = _outputs_of_file(export, path, read_in_chunks(prepared, split, export.inputs))
    return require_quality(
        predictions_of(trained, quantized, split.targets), predictions_of(trained, exact, split.targets), name
    )


def _outputs_of_file(export: Export, path: Path, chunks: Iterable[Tensor]) -> Tensor:
    """The raw outputs of a file for samples."""
    first = next(iter(OUTPUT_MEANINGS[export.trained.spec.task]))
    raw = (export.inputs.from_samples(chunk) for chunk in chunks)
    return torch.cat([outputs[first] for outputs in _READERS[export.request.format](export, path, raw)])
