"""What `ptrun export` prints: what is exported, how it compares with the checkpoint, and how the file is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptrun.build.export import can_resize_inside, uses_views
from ptrun.export.check import TOLERANCE, Comparison
from ptrun.export.formats import FORMATS
from ptrun.export.served import OUTPUT_MEANINGS
from ptrun.runs.sharing.export_parts import Export
from ptrun.runs.sharing.plain_torch import loading_line
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_bytes


def show_header(export: Export, console: Console) -> None:
    """Print the checkpoint, the format, and what the file takes and gives."""
    request, trained = export.request, export.trained
    rows = [
        ("checkpoint", trained.title),
        ("format", f"{request.format}, {request.precision}"),
        ("input", export.inputs.in_words),
        _content(export),
    ]
    console.header(rows, f"ptrun export {export.config.model.name} on {export.config.dataset.name}")
    for note in (*trained.notes, *_notes(export)):
        console.note(note)


def _content(export: Export) -> tuple[str, str]:
    """What the file gives: outputs, or weights."""
    spec = export.trained.spec
    if FORMATS[export.request.format].holds_graph:
        return "outputs", f"{', '.join(OUTPUT_MEANINGS[spec.task])}: float32 [batch, {spec.num_outputs}]"
    tensors = export.trained.network.state_dict().values()
    return "weights", f"{len(tensors)} tensors, {sum(tensor.numel() for tensor in tensors):,} numbers"


def _notes(export: Export) -> list[str]:
    notes = []
    if uses_views(export.config):
        notes.append(
            "The file averages over views of an image, as evaluation does. train.eval_views=one leaves them out."
        )
    if FORMATS[export.request.format].holds_graph and (outside := export.inputs.transforms_outside):
        put_in = " with_preprocessing=true puts that into the file." if can_resize_inside(export.config) else ""
        notes.append(f"Not in the file: {outside}. Give it images after that.{put_in}")
    precision = export.trained.content["config"]["device"].get("precision")
    if precision not in (None, "fp32"):
        notes.append(f"The training computed in {precision}; the file, and what it is compared with, computes in fp32.")
    if export.samples.prepared is None:
        notes.append(
            f"The file is checked with random inputs, because the data can't be read: {export.samples.problem}"
        )
    return notes


def show_result(
    export: Export, path: Path, comparisons: Sequence[Comparison], notes: Sequence[str], console: Console
) -> None:
    """Print the differences for each batch size, the file, and lines of code that use it."""
    names = list(comparisons[0].differences)
    decides = comparisons[0].changed is not None
    columns = ["batch size", "samples", *(f"{name} differ by" for name in names), *["changed decisions"] * decides]
    console.text()
    console.table(columns, [_row(comparison, names, decides) for comparison in comparisons])
    for note in notes:
        console.note(note)
    rows = [
        ("file", f"{path} ({format_bytes(path.stat().st_size)})"),
        ("check", f"{_verdict(export.request.precision)}, on {export.samples.origin}"),
    ]
    console.result(rows, [])
    console.text()
    console.text("Use it")
    for line in snippet(export, path):
        console.text(f"  {line}")


def _verdict(precision: str) -> str:
    if precision == "int8":
        return "runs, and differs from the checkpoint as shown"
    what = "the checkpoint" if precision == "fp32" else f"the checkpoint with its weights rounded to {precision}"
    return f"equal to {what}: no difference is above {TOLERANCE:g} of the output's largest value"


def _row(comparison: Comparison, names: Sequence[str], decides: bool) -> list[object]:
    differences = [f"{comparison.differences[name]:.1e}" for name in names]
    sizes = f" (images of {comparison.image_sizes} sizes)" if comparison.image_sizes > 1 else ""
    return [f"{comparison.batch_size}{sizes}", comparison.num_samples, *differences, *[comparison.changed] * decides]


def rounding_in_words(comparison: Comparison) -> str:
    """The effect of rounded weights on the outputs."""
    parts = [f"{name} change by up to {difference:.1e}" for name, difference in comparison.differences.items()]
    if comparison.changed is not None:
        parts.append(f"{comparison.changed} of {comparison.num_samples} decisions change")
    return ", ".join(parts)


def snippet(export: Export, path: Path) -> list[str]:
    """Three lines of Python that use the file."""
    first, second = OUTPUT_MEANINGS[export.trained.spec.task]
    name, description = export.inputs.name, export.inputs.description
    shape = ", ".join(map(str, description["shape"]))
    comment = f"  # {name}: {description['dtype']} [{shape}]"
    if export.request.format == "onnx":
        return [
            "import onnxruntime",
            f'session = onnxruntime.InferenceSession("{path}")',
            f'{first}, {second} = session.run(None, {{"{name}": {name}}}){comment}',
        ]
    if export.request.format == "torch_export":
        return [
            "import torch",
            f'model = torch.export.load("{path}").module()',
            f'{second} = model({name})["{second}"]{comment}',
        ]
    model = export.config.model.name
    loading = loading_line("model", f'load_file("{path}")', model)
    return [
        "from safetensors.torch import load_file",
        f"{loading}  # model: a torch module with the parameters of model={model}",
        f"{first} = model.eval()({name}){comment}",
    ]
