"""What an exported model takes: the inputs before or after their preparation, and a description of them for readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.export.formats import Format
from ptrun.export.resizing import resizing_of
from ptrun.export.served import INPUT_NAMES, NormalizePixels, Standardize
from ptrun.spec import DataSpec, Layout
from ptrun.transforms.pipeline import Pipeline

Scaling = tuple[Sequence[float], Sequence[float]]  # mean and standard deviation of each feature
Preprocessing = Literal["none", "scaling", "all"]  # what is part of the exported model; all: image transforms too


def resolve_preprocessing(setting: bool | str, form: Format) -> Preprocessing:
    """What is part of the exported model: true means all, auto the scaling where the format holds a computation."""
    if setting == "auto":
        return "scaling" if form.holds_graph else "none"
    return "all" if setting else "none"


@dataclass(frozen=True)
class ModelInputs:
    """The inputs of an exported model.

    Samples are uint8 images after all image transforms, or before them with takes_any_size; or standardized features.

    preparation: the module from these inputs to those of the trained model.
    from_samples: from samples to these inputs.
    to_trained: from samples to the inputs of the trained model, by the code that an evaluation uses.
    description: name, dtype, shape and meaning, in plain containers.
    takes_any_size: whether these are images of any size, which the exported model resizes.
    """

    preparation: nn.Module
    from_samples: Callable[[Tensor], Tensor]
    to_trained: Callable[[Tensor], Tensor]
    description: Mapping[str, Any]
    takes_any_size: bool = False

    @property
    def name(self) -> str:
        """The name of the input."""
        return str(self.description["name"])

    @property
    def free_dimensions(self) -> Mapping[int, str]:
        """The dimensions of an input that have no fixed size, with their names."""
        return {number: name for number, name in enumerate(self.description["shape"]) if isinstance(name, str)}

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of a sample; one that is not square where any size will do."""
        sizes = {"height": 96, "width": 128}
        return tuple(sizes[size] if isinstance(size, str) else size for size in self.description["shape"][1:])

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
    spec: DataSpec, pipeline: Pipeline, transforms: Sequence[Any], preprocessing: Preprocessing
) -> ModelInputs:
    """Images after all image transforms, after all but `normalize`, or, with "all", before any of them.

    transforms: those of evaluation as the configuration lists them.
    Raises ConfigError when all of them are wanted in the exported model and one can't be part of it.
    """
    before = before_normalize(transforms)
    if preprocessing == "all" and before:
        return _images_of_any_size(spec, pipeline, before)
    after = f" after {', '.join(map(_text, before))}" if before else ""
    facts = {"transforms": before, **_normalization(pipeline)}
    if preprocessing == "none":
        description = {**_facts(spec, "float32"), "meaning": f"{_kind(spec)}{after}, normalized", **facts}
        return ModelInputs(nn.Identity(), pipeline.finish, pipeline.finish, description)
    description = {**_facts(spec, "uint8"), "meaning": f"{_kind(spec)}{after}, 0 to 255", **facts, "range": [0, 255]}
    return ModelInputs(NormalizePixels(*(pipeline.scale_shift or ())), _unchanged, pipeline.finish, description)


def before_normalize(transforms: Sequence[Any]) -> list[Any]:
    """The image transforms of a list without `normalize`."""
    return [item for item in transforms if _name(item) != "normalize"]


def _images_of_any_size(spec: DataSpec, pipeline: Pipeline, transforms: Sequence[Any]) -> ModelInputs:
    """Images that the exported model resizes, crops and normalizes. transforms: those before `normalize`."""
    resizing = resizing_of(transforms)
    if resizing is None:
        raise ConfigError(
            "with_preprocessing: an exported model can hold resize (bilinear or bicubic), center_crop, or both in this "
            f"order, which give images of one size; the evaluation uses {', '.join(map(_text, transforms))}. "
            "Use with_preprocessing=auto, and give the file images after these."
        )
    preparation = nn.Sequential(resizing, NormalizePixels(*(pipeline.scale_shift or ())))
    description = {
        "name": INPUT_NAMES[spec.layout],
        "dtype": "uint8",
        "shape": ["batch", spec.input_shape[0], "height", "width"],
        "meaning": f"{_kind(spec)} of any size, one size in a batch, 0 to 255",
        "transforms": [],
        "transforms_inside": list(transforms),
        **_normalization(pipeline),
        "range": [0, 255],
    }
    return ModelInputs(
        preparation, _unchanged, lambda images: pipeline.finish(pipeline.fixed(images)), description, True
    )


def _kind(spec: DataSpec) -> str:
    return {1: "gray images", 3: "RGB images"}.get(spec.input_shape[0], "images")


def _normalization(pipeline: Pipeline) -> dict[str, Any]:
    """How pixels are normalized, for readers."""
    scale, shift = pipeline.scale_shift or (torch.full((1, 1, 1), 1 / 255), torch.zeros(1, 1, 1))
    return {
        "normalization": {"scale": scale.flatten().tolist(), "shift": shift.flatten().tolist()},
        "normalized_as": "pixel * scale + shift, for each channel",
    }


def feature_inputs(spec: DataSpec, scaling: Scaling | None, preprocessing: Preprocessing) -> ModelInputs:
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
    if preprocessing == "none":
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


def random_samples(spec: DataSpec, sample_shape: Sequence[int], count: int) -> Tensor:
    """Samples in the range of the training data: uint8 pixels, or standard scores with binary features 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, *sample_shape)
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
