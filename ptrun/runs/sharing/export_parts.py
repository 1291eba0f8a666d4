"""What an export is made of: the restored model, what it takes and gives, samples to check it with, its metadata."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ptrun.build.data import Prepared, prepare
from ptrun.build.evaluation import make_predictions
from ptrun.build.export import (
    build_inputs,
    build_served,
    describe_components,
    read_samples,
    settings_for_export,
    without_download,
)
from ptrun.build.model import build_views
from ptrun.config.run_config import RunConfig
from ptrun.engine.evaluate import Outputs as RawOutputs
from ptrun.errors import ConfigError, DataError
from ptrun.export.check import Outputs, num_check_samples
from ptrun.export.formats import FORMATS
from ptrun.export.inputs import ModelInputs, random_samples, resolve_preprocessing
from ptrun.export.served import OUTPUT_MEANINGS, Served
from ptrun.metrics.predictions import Predictions
from ptrun.plugins import attribute_plugin_errors
from ptrun.runs.trained_model import Changes, TrainedModel, load_trained_model
from ptrun.spec import Task
from ptrun.transforms.statistics import evenly_spaced
from ptrun.version import __version__

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.float32}
_CHUNK = 64  # samples that the checkpoint's model computes at a time


@dataclass(frozen=True)
class ExportRequest:
    """What to export and how, with changes to the stored configuration (dotted key → value)."""

    checkpoint: str
    format: str
    output: str | None = None
    with_preprocessing: bool | str = "auto"
    precision: str = "fp32"
    license: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    plugins: Sequence[str] = ()
    folders: tuple[Path, ...] = ()
    quiet: bool = False


@dataclass(frozen=True)
class CheckSamples:
    """Samples that a file is checked with.

    values: samples as `ModelInputs` defines them.
    origin: where they come from, in words. prepared: the data of the training; None when they can't be read.
    problem: why not; "" when they can.
    """

    values: Tensor
    origin: str
    prepared: Prepared | None
    problem: str = ""


@dataclass(frozen=True)
class Export:
    """A model on its way into a file.

    original: as the checkpoint has it. trained: with its weights rounded to those that the file stores.
    served: `trained` from raw inputs to named outputs.
    """

    request: ExportRequest
    original: TrainedModel
    trained: TrainedModel
    inputs: ModelInputs
    served: Served
    samples: CheckSamples

    @property
    def config(self) -> RunConfig:
        """The configuration of the training."""
        return self.trained.config

    @property
    def raw_samples(self) -> Tensor:
        """The samples as the file takes them."""
        return self.inputs.from_samples(self.samples.values)


def prepare_export(request: ExportRequest) -> Export:
    """Restore the checkpoint and make everything that is exported. Raises ConfigError or CheckpointError."""
    changes = Changes(settings_for_export(request.changes), request.plugins, request.folders)
    original = load_trained_model(request.checkpoint, changes)
    trained = rounded(original, DTYPES[request.precision])
    preprocessing = resolve_preprocessing(request.with_preprocessing, FORMATS[request.format])
    config, spec = trained.config, trained.spec
    inputs = build_inputs(config, spec, trained.pipeline, trained.fitted, preprocessing)
    served = build_served(config, spec, inputs, trained.model)
    samples = _check_samples(original, inputs)
    if request.precision == "int8":
        _require_samples_for_int8(samples)
    return Export(request, original, trained, inputs, served, samples)


def _require_samples_for_int8(samples: CheckSamples) -> None:
    """Raise DataError when there is nothing to measure the quality of a quantized model with."""
    needs = "precision=int8 changes the outputs, so its quality is measured on samples of val or test, but"
    if samples.prepared is None:
        raise DataError(
            f"{needs} the data can't be read: {samples.problem} Say where the data are, or use precision=fp16."
        )
    if not len(samples.prepared.data.val) + len(samples.prepared.data.test):
        raise DataError(f"{needs} both are empty. Use precision=fp16.")


def rounded(trained: TrainedModel, dtype: torch.dtype) -> TrainedModel:
    """The model with its weights rounded to what a file stores; they are float32 still."""
    if dtype is torch.float32:
        return trained
    network = copy.deepcopy(trained.network)
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype).to(tensor.dtype)
    return replace(trained, network=network, model=build_views(trained.config, trained.spec)(network).eval())


def _check_samples(trained: TrainedModel, inputs: ModelInputs) -> CheckSamples:
    """Samples of the data of the training, of a part that was not trained on if there is one; else random ones."""
    count = num_check_samples()
    try:
        with attribute_plugin_errors(trained.config.model.name):
            prepared = prepare(without_download(trained.config), trained.content["fitted"])
        name, split = next(
            (name, split) for name in ("test", "val", "train") if len(split := getattr(prepared.data, name))
        )
        indices = evenly_spaced(len(split), count)
        values = read_samples(prepared, split, indices, inputs)
        shape = inputs.to_trained(values[:1]).shape[1:]
        if shape != trained.spec.input_shape:
            raise DataError(f"their samples have the shape {list(shape)}")
    except (DataError, ConfigError) as error:
        origin = "random inputs in the range of the training data"
        return CheckSamples(random_samples(trained.spec, inputs.example_shape, count), origin, None, str(error))
    origin = f"{len(indices)} samples of the {name} split of {trained.config.dataset.name}"
    enough = values.repeat(-(-count // len(values)), *[1] * (values.dim() - 1))[:count]
    return CheckSamples(enough, origin, prepared)


def predictions_of(trained: TrainedModel, outputs: Tensor, targets: Tensor | None = None) -> Predictions:
    """Classes and probabilities, or numbers in original units, of raw outputs; without targets these are zeros."""
    if targets is None:
        is_class = trained.spec.task is Task.CLASSIFICATION
        targets = torch.zeros(len(outputs), dtype=torch.int64) if is_class else torch.zeros_like(outputs)
    return make_predictions(trained.config, trained.spec, RawOutputs(outputs, targets, 0.0))


def expected_outputs(trained: TrainedModel, inputs: ModelInputs, samples: Tensor, batch_size: int = _CHUNK) -> Outputs:
    """What a file has to give for samples in batches of a size, computed as an evaluation computes it."""
    batches = torch.split(samples, batch_size)
    outputs = torch.cat([trained.outputs(inputs.to_trained(batch)) for batch in batches])
    predicted = predictions_of(trained, outputs)
    final = predicted.values if predicted.probabilities is None else predicted.probabilities
    first, second = OUTPUT_MEANINGS[trained.spec.task]
    return {first: outputs, second: torch.from_numpy(final)}


def metadata_of(export: Export) -> dict[str, str]:
    """What the file says about itself; texts, of which those with parts are JSON."""
    spec, progress = export.trained.spec, export.trained.content["progress"]
    outputs = {
        name: {"dtype": "float32", "shape": ["batch", spec.num_outputs], "meaning": meaning}
        for name, meaning in OUTPUT_MEANINGS[spec.task].items()
    }
    if not FORMATS[export.request.format].holds_graph:
        outputs = {}
    return {
        "ptrun_version": __version__,
        "checkpoint_epoch": str(progress["epoch"]),
        "checkpoint_step": str(progress["step"]),
        "license": export.request.license or "",
        "format": export.request.format,
        "precision": export.request.precision,
        "input": json.dumps(export.inputs.description),
        "outputs": json.dumps(outputs),
        **describe_components(export.config, spec),
    }
