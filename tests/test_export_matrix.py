"""Every model on every kind of data it reads is exported as ONNX and as a torch program, and computes the same there.

Weights are random, those of batch norm too, so that a constant in the wrong place shows.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import forecast_spec
from test_matrix import MODELS
from torch import nn

from ptrun import catalog, registry
from ptrun.config import schema
from ptrun.config.overrides import parse_values
from ptrun.errors import PtrunError
from ptrun.export import onnx_file, torch_program
from ptrun.export.check import Outputs, compare, num_check_samples, require_equal
from ptrun.export.inputs import random_samples
from ptrun.export.served import OUTPUT_MEANINGS, Served, make_outputs
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it fills the registries

CLASSES: dict[str, Any] = {"num_outputs": 3, "task": Task.CLASSIFICATION, "class_names": ("a", "b", "c")}
SPECS = {
    "image": DataSpec(layout=Layout.IMAGE, input_shape=(3, 16, 12), **CLASSES),
    "vector": DataSpec(
        layout=Layout.VECTOR, input_shape=(5,), feature_groups=(1, 3, 1), binary_features=(1, 2, 3), **CLASSES
    ),
    "sequence": DataSpec(layout=Layout.SEQUENCE, input_shape=(12, 2), **CLASSES),
    "forecast": forecast_spec(target_mean=(3.0,) * 6, target_std=(2.0,) * 6),
}
# What can't be exported: (model, kind of data or architecture) → the reason, as the user reads it.
NOT_EXPORTED: dict[tuple[str, str], str] = {}


def reads(model: str, spec: DataSpec) -> bool:
    """Whether a model takes such data, by its YAML file."""
    facts = schema.require("model", model).facts
    return str(spec.layout) in facts["accepts"] and str(spec.task) in facts.get("task", (str(spec.task),))


PAIRS = [
    (model, kind)
    for model in schema.names("model")
    for kind, spec in SPECS.items()
    if model != "auto" and reads(model, spec)
]


def random_model(name: str, spec: DataSpec, settings: Iterable[str]) -> Served:
    """A model whose parameters and statistics are all random."""
    values = {key.removeprefix("model."): value for key, value in parse_values(list(settings)).items()}
    torch.manual_seed(0)
    network: nn.Module = registry.models.build(name, values, spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for buffer_name, buffer in network.named_buffers():
            if buffer_name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))
    return Served(nn.Identity(), network, make_outputs(spec, one_vs_rest=False)).requires_grad_(False)


def require_equal_files(name: str, spec: DataSpec, served: Served, folder: Path) -> None:
    inputs = random_samples(spec, spec.input_shape, num_check_samples())
    inputs = inputs.float() / 255 if spec.layout is Layout.IMAGE else inputs
    expected = served(inputs)
    program = torch_program.trace(served, inputs[:3], {0: "batch"}, name)

    def run_program(batches: Iterable[torch.Tensor]) -> list[Outputs]:
        archive = io.BytesIO()
        torch_program.write(program, archive, {})
        archive.seek(0)
        module = torch.export.load(archive).module()
        return [module(batch) for batch in batches]

    require_equal(compare(run_program, inputs, lambda size: expected, spec))
    path = folder / "a.onnx"
    with path.open("wb") as file:
        model = onnx_file.convert(program, "inputs", {0: "batch"}, tuple(OUTPUT_MEANINGS[spec.task]), name)
        onnx_file.write(model, file, {})
    require_equal(compare(lambda batches: onnx_file.run_file(path, batches), inputs, lambda size: expected, spec))


def check_row(row: tuple[str, str], spec: DataSpec, served: Served, folder: Path) -> None:
    """Equal files, or the reason that is named above."""
    if row not in NOT_EXPORTED:
        require_equal_files(row[0], spec, served, folder)
        return
    with pytest.raises(PtrunError, match=NOT_EXPORTED[row]):
        require_equal_files(row[0], spec, served, folder)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_pair(tmp_path: Path, name: str, kind: str):
    spec = SPECS[kind]
    check_row((name, kind), spec, random_model(name, spec, MODELS[name]), tmp_path)


def test_every_model_is_in_the_table():
    shipped = set(schema.names("model")) - {"auto"}  # other tests add models of plugins to the registry
    assert {name for name, _ in PAIRS} == shipped
    assert set(NOT_EXPORTED) <= {*PAIRS, *(("torchvision", arch) for arch in ARCHITECTURES)}


# Settings of the models above that take another path through their code.
VARIANTS = [
    ("attention", "image", "model.pooling=cls"),
    ("transformer", "sequence", "model.causal=true"),
    ("lstm", "sequence", "model.bidirectional=true,model.num_layers=2"),
    ("lstm", "forecast", "model.instance_norm=true"),
    ("dlinear", "forecast", "model.individual=true"),
    ("patch_transformer", "forecast", "model.instance_norm=false"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "settings"), VARIANTS)
def test_variant(tmp_path: Path, name: str, kind: str, settings: str):
    spec = SPECS[kind]
    require_equal_files(name, spec, random_model(name, spec, [*MODELS[name], *settings.split(",")]), tmp_path)


# Networks of torchvision beside those in MODELS that are exported within seconds. Exported once and found
# equal, too: densenet121, efficientnet_b0, mnasnet0_5, mobilenet_v2, convnext_tiny, vit_b_32, swin_t.
ARCHITECTURES = ["resnet18", "shufflenet_v2_x0_5", "regnet_y_400mf", "googlenet"]


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_torchvision(tmp_path: Path, arch: str):
    spec = DataSpec(layout=Layout.IMAGE, input_shape=(3, 32, 32), **CLASSES)
    check_row(("torchvision", arch), spec, random_model("torchvision", spec, [f"model.arch={arch}"]), tmp_path)
