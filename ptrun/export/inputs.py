"""What an exported model takes: the inputs before or after their preparation, and a description of them for readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ptrun.export.served import INPUT_NAMES, NormalizePixels, Standardize
from ptrun.spec import DataSpec, Layout
from ptrun.transforms.pipeline import Pipeline

Scaling = tuple[Sequence[float], Sequence[float]]  # mean and standard deviation of each feature


@dataclass(frozen=True)
class ModelInputs:
    """The inputs of an exported model.

    preparation: the module from these inputs to those of the trained model.
    from_samples: from samples (uint8 images, standardized features) to these inputs.
    to_trained: from samples to the inputs of the trained model, by the code that an evaluation uses.
    description: name, dtype, shape and meaning, in plain containers.
    """

    preparation: nn.Module
    from_samples: Callable[[Tensor], Tensor]
    to_trained: Callable[[Tensor], Tensor]
    description: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the input."""
        return str(self.description["name"])

    @property
    def transforms_outside(self) -> str:
        """The image transforms that are not part of the exported model, in words; "" for none."""
        return ", ".join(map(_text, self.description.get("transforms", ())))

    @property
    def in_words(self) -> str:
        """Name, dtype, shape and meaning in one line."""
        shape = ", ".join(map(str, self.description["shape"]))
        return f"{self.name}: {self.description['dtype']} [{shape}], {self.description['meaning']}"


def image_inputs(
    spec: DataSpec, pipeline: Pipeline, transforms: Sequence[Any], with_preprocessing: bool
) -> ModelInputs:
    """Images after all image transforms but `normalize`, which is part of the exported model, or after it.

    transforms: those of evaluation as the configuration lists them, for the description.
    """
    before = [item for item in transforms if _name(item) != "normalize"]
    kind = {1: "gray images", 3: "RGB images"}.get(spec.input_shape[0], "images")
    after = f" after {', '.join(map(_text, before))}" if before else ""
    scale, shift = pipeline.scale_shift or (torch.full((1, 1, 1), 1 / 255), torch.zeros(1, 1, 1))
    description = {
        **_facts(spec, "uint8" if with_preprocessing else "float32"),
        "meaning": f"{kind}{after}, {'0 to 255' if with_preprocessing else 'normalized'}",
        "transforms": before,
        "normalization": {"scale": scale.flatten().tolist(), "shift": shift.flatten().tolist()},
        "normalized_as": "pixel * scale + shift, for each channel",
    }
    if with_preprocessing:
        preparation = NormalizePixels(*(pipeline.scale_shift or ()))
        return ModelInputs(preparation, _unchanged, pipeline.finish, {**description, "range": [0, 255]})
    return ModelInputs(nn.Identity(), pipeline.finish, pipeline.finish, description)


def feature_inputs(spec: DataSpec, scaling: Scaling | None, with_preprocessing: bool) -> ModelInputs:
    """Vectors or sequences of raw numbers, whose scaling is part of the exported model, or of scaled numbers.

    scaling: None when the data set is not known to scale, so that its features are given to the model as they are.
    """
    names = spec.feature_names or tuple(f"feature {number}" for number in range(spec.input_shape[-1]))
    facts: dict[str, Any] = {"features": list(names)}
    if spec.padding_channel:
        names = (*names[:-1], "padding")
        facts = {"features": list(names), "padding": "the last channel: 1 in steps before the sequence begins, else 0"}
    if spec.layout is Layout.SEQUENCE and not spec.horizon:
        facts["shorter_sequences"] = "begin with steps of the training mean, which is 0 after standardization"
    if scaling is None:
        return _prepared_features(spec, "features as the data set gives them to the model", facts)
    mean, std = scaling
    facts |= {
        "standardization": {"mean": list(mean), "std": list(std)},
        "standardized_as": "(value - mean) / std, for each feature",
        "binary_features": [names[i] for i in spec.binary_features],
    }
    if not with_preprocessing:
        return _prepared_features(spec, "standardized numbers", facts)
    preparation = Standardize(mean, std)
    meaning = "numbers in the units of the data" + _note_on_binary(spec)
    return ModelInputs(
        preparation, preparation.invert, _unchanged, {**_facts(spec, "float64"), "meaning": meaning, **facts}
    )


def _prepared_features(spec: DataSpec, meaning: str, facts: Mapping[str, Any]) -> ModelInputs:
    """Features that are the inputs of the trained model already."""
    description = {**_facts(spec, "float32"), "meaning": meaning, **facts}
    return ModelInputs(nn.Identity(), _unchanged, _unchanged, description)


def random_samples(spec: DataSpec, count: int) -> Tensor:
    """Samples in the range of the training data: uint8 pixels, or standard scores with binary features 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, *spec.input_shape)
    if spec.layout is Layout.IMAGE:
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    scores = torch.randn(shape, generator=generator)
    binary = torch.tensor(spec.binary_features, dtype=torch.int64)
    scores[..., binary] = (scores[..., binary] > 0).float()
    if spec.padding_channel:
        steps = torch.arange(shape[1])
        scores[..., -1] = (steps < torch.arange(count).unsqueeze(1) % shape[1]).float()
    return scores


def _facts(spec: DataSpec, dtype: str) -> dict[str, Any]:
    return {"name": INPUT_NAMES[spec.layout], "dtype": dtype, "shape": ["batch", *spec.input_shape]}


def _note_on_binary(spec: DataSpec) -> str:
    return f"; {len(spec.binary_features)} of the features are 0 or 1" if spec.binary_features else ""


def _unchanged(inputs: Tensor) -> Tensor:
    return inputs


def _name(item: Any) -> str:
    return item if isinstance(item, str) else str(next(iter(item)))


def _text(item: Any) -> str:
    """A transform as a person reads it: resize (size 256)."""
    settings = None if isinstance(item, str) else next(iter(item.values()))
    return (
        f"{_name(item)} ({', '.join(f'{key} {value}' for key, value in settings.items())})" if settings else _name(item)
    )
