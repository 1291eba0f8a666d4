"""Builds what an exported file is made of, and the samples that it is checked with, from the configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ptrun import registry
from ptrun.build.data import Prepared
from ptrun.build.evaluation import predicts_one_vs_rest
from ptrun.config.run_config import RunConfig
from ptrun.data.features.standardization import feature_scaling
from ptrun.data.splits import Split
from ptrun.errors import ConfigError
from ptrun.export.inputs import (
    ModelInputs,
    Preprocessing,
    Scaling,
    before_normalize,
    feature_inputs,
    image_inputs,
)
from ptrun.export.resizing import resizing_of
from ptrun.export.served import Served, make_outputs
from ptrun.rng import SampleRng
from ptrun.spec import DataSpec
from ptrun.transforms.pipeline import Pipeline

MAX_SIDE = 512  # pixels of a whole image that a file is checked with: 70 photos of 12 megapixels would fill the memory
SHIPPED = "ptrun.data.datasets."  # modules whose data sets keep their scaling in the form that feature_scaling reads


def build_inputs(
    config: RunConfig,
    spec: DataSpec,
    pipeline: Pipeline | None,
    fitted: Mapping[str, Any],
    preprocessing: Preprocessing,
) -> ModelInputs:
    """The inputs of the exported model. fitted: what the data set learned from the training samples.

    Raises ConfigError for image transforms that can't be part of it, when they are wanted there.
    """
    if pipeline is not None:
        inputs = image_inputs(spec, pipeline, config.transform.settings["eval"], preprocessing)
        if inputs.takes_any_size and _decodes_scaled(config):
            raise ConfigError(
                "with_preprocessing: with dataset.decode=scaled, large photos are reduced while they are decoded, "
                "which an exported model can't do. Add dataset.decode=exact, or use with_preprocessing=auto."
            )
        return inputs
    scaling = _scaling(config, spec, fitted)
    inputs = feature_inputs(spec, scaling, preprocessing)
    encodings = fitted.get("columns") if scaling is not None else None  # of a table: categories, medians
    return replace(inputs, description={**inputs.description, "columns": encodings}) if encodings else inputs


def can_resize_inside(config: RunConfig) -> bool:
    """Whether an exported model can hold the image transforms of evaluation."""
    transforms = before_normalize(config.transform.settings["eval"])
    return resizing_of(transforms) is not None and not _decodes_scaled(config)


def _decodes_scaled(config: RunConfig) -> bool:
    return bool(config.dataset.settings.get("decode") == "scaled")


def _scaling(config: RunConfig, spec: DataSpec, fitted: Mapping[str, Any]) -> Scaling | None:
    """None for the data set of a plugin, whose `fitted` may mean anything."""
    module = getattr(registry.datasets.get(config.dataset.name), "__module__", "")
    return feature_scaling(fitted, spec.input_shape[-1]) if module.startswith(SHIPPED) else None


def build_served(config: RunConfig, spec: DataSpec, inputs: ModelInputs, model: nn.Module) -> Served:
    """The module that is exported."""
    return Served(inputs.preparation, model, make_outputs(spec, predicts_one_vs_rest(config, spec)))


def describe_components(config: RunConfig, spec: DataSpec) -> dict[str, str]:
    """The metadata that the configuration gives: model with settings, data set, classes or targets."""
    return {
        "model": json.dumps({"name": config.model.name, **config.model.settings}),
        "dataset": config.dataset.name,
        "spec": json.dumps(spec.to_dict()),
        "task": str(spec.task),
        "class_names": json.dumps(list(spec.class_names)),
        "target_names": json.dumps(list(spec.target_names)),
        "probabilities": "one sigmoid per class, scaled to sum to 1"
        if predicts_one_vs_rest(config, spec)
        else "softmax",
    }


def settings_for_export(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of the stored configuration: the user's, and those that every export makes.

    It computes on the CPU, in fp32, and in torch's usual memory format, as other programs do. Raises ConfigError when
    the user asks for something else.
    """
    refused = [key for key in changes if key == "device" or (key.startswith("device.") and key != "device.threads")]
    if refused:
        raise ConfigError(
            f"{key}: can't be set for an export, which computes on the CPU in fp32. Leave it out." for key in refused
        )
    return {"device": "cpu", "device.precision": "fp32", "device.channels_last": False, **changes}


def without_download(config: RunConfig) -> RunConfig:
    """The configuration with a data set that downloads nothing: samples for a check are not worth that."""
    settings = config.dataset.settings
    if "download" not in settings:
        return config
    return replace(config, dataset=replace(config.dataset, settings={**settings, "download": False}))


def uses_views(config: RunConfig) -> bool:
    """Whether evaluation averages over several views of each image."""
    return config.train.eval_views != "one"


def read_samples(prepared: Prepared, split: Split, indices: Sequence[int], inputs: ModelInputs) -> Tensor:
    """Samples of a split as `inputs` defines them; images before the image transforms are cropped to one size."""
    pipeline = prepared.pipelines.eval
    samples = [split.read(index) for index in indices]
    if pipeline is None:
        return torch.stack(samples)
    if inputs.takes_any_size:
        return _of_one_size(samples)
    return torch.cat(
        [
            pipeline.vary(pipeline.fixed(sample).unsqueeze(0), SampleRng.of(0, 0, [index]))
            for index, sample in zip(indices, samples, strict=True)
        ]
    )


def _of_one_size(images: Sequence[Tensor]) -> Tensor:
    """The middle of each image, in the size of the first one or MAX_SIDE; smaller images get a black border."""
    size = [min(side, MAX_SIDE) for side in images[0].shape[1:]]
    center_crop = registry.image_transforms.build("center_crop", {"size": size})
    return torch.stack([center_crop.apply(image) for image in images])


def read_in_chunks(prepared: Prepared, split: Split, inputs: ModelInputs, chunk: int = 64) -> Iterator[Tensor]:
    """All samples of a split in order, `chunk` at a time; whole images of any size one at a time."""
    if inputs.takes_any_size:
        yield from (split.read(index).unsqueeze(0) for index in range(len(split)))
        return
    for start in range(0, len(split), chunk):
        yield read_samples(prepared, split, range(start, min(start + chunk, len(split))), inputs)
