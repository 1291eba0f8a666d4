"""What an exported model takes is described for its readers, and prepared as an evaluation prepares it."""

from __future__ import annotations

import json

import pytest
import torch

from ptrun.errors import ConfigError
from ptrun.export.formats import FORMATS
from ptrun.export.inputs import (
    ModelInputs,
    Preprocessing,
    feature_inputs,
    image_inputs,
    random_samples,
    resolve_preprocessing,
)
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline

PHOTOS = DataSpec(layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(3, 8, 8), num_outputs=2)
TABLE = DataSpec(
    layout=Layout.VECTOR,
    task=Task.CLASSIFICATION,
    input_shape=(3,),
    num_outputs=2,
    feature_names=("age", "town=Bern", "town=Chur"),
    binary_features=(1, 2),
)
TRANSFORMS = [{"resize": {"size": [8, 8]}}, {"normalize": {"mean": 0.5, "std": 0.25}}]
SCALING = ([40.0, 0.0, 0.0], [10.0, 1.0, 1.0])


def agree(inputs: ModelInputs, samples: torch.Tensor) -> bool:
    """Whether the preparation of the exported model gives what an evaluation gives to the model."""
    return torch.equal(inputs.preparation(inputs.from_samples(samples)), inputs.to_trained(samples))


@pytest.mark.parametrize(
    ("preprocessing", "words"),
    [
        ("scaling", "images: uint8 [batch, 3, 8, 8], RGB images after resize (size [8, 8]), 0 to 255"),
        ("none", "images: float32 [batch, 3, 8, 8], RGB images after resize (size [8, 8]), normalized"),
    ],
)
def test_images(preprocessing: Preprocessing, words: str):
    pipeline = build_pipeline(TRANSFORMS[1:], PHOTOS, fitted={})
    inputs = image_inputs(PHOTOS, pipeline, TRANSFORMS, preprocessing)
    assert inputs.transforms_outside == "resize (size [8, 8])"
    assert inputs.in_words == words
    assert agree(inputs, random_samples(PHOTOS, PHOTOS.input_shape, 5))
    described = json.loads(json.dumps(inputs.description))
    pixels = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    scale, shift = (torch.tensor(described["normalization"][key]).view(3, 1, 1) for key in ("scale", "shift"))
    assert torch.equal(pixels * scale + shift, pipeline.finish(pixels)), "the description is enough to normalize"


@pytest.mark.parametrize(
    ("scaling", "preprocessing", "words"),
    [
        (SCALING, "scaling", "float64 [batch, 3], numbers in the units of the data; 2 of the features are 0 or 1"),
        (SCALING, "none", "float32 [batch, 3], standardized numbers"),
        (None, "all", "float32 [batch, 3], features as the data set gives them to the model"),
    ],
)
def test_features(scaling: tuple[list[float], list[float]] | None, preprocessing: Preprocessing, words: str):
    inputs = feature_inputs(TABLE, scaling, preprocessing)
    assert inputs.in_words == f"features: {words}"
    assert inputs.description["features"] == list(TABLE.feature_names)
    samples = random_samples(TABLE, TABLE.input_shape, 6)
    assert agree(inputs, samples)
    assert set(samples[:, 1:].unique().tolist()) == {0.0, 1.0}


def test_raw_numbers_are_in_the_units_of_the_columns():
    inputs = feature_inputs(TABLE, SCALING, "all")
    raw = torch.tensor([[55.0, 1.0, 0.0]], dtype=torch.float64)
    assert inputs.preparation(raw).tolist() == [[1.5, 1.0, 0.0]]
    assert inputs.description["binary_features"] == ["town=Bern", "town=Chur"]


def test_the_padding_channel_is_described_and_not_scaled():
    spec = DataSpec(
        layout=Layout.SEQUENCE, task=Task.CLASSIFICATION, input_shape=(4, 2), num_outputs=2, padding_channel=True
    )
    inputs = feature_inputs(spec, ([3.0, 0.0], [2.0, 1.0]), "scaling")
    assert inputs.description["features"] == ["feature 0", "padding"]
    assert "1 in steps before the sequence begins" in inputs.description["padding"]
    samples = random_samples(spec, spec.input_shape, 5)
    assert samples[..., 1].sum(1).tolist() == [0, 1, 2, 3, 0]
    assert agree(inputs, samples)
    assert torch.equal(inputs.preparation(inputs.from_samples(samples))[..., 1], samples[..., 1])


def test_images_of_any_size_are_resized_inside():
    pipeline = build_pipeline(TRANSFORMS, PHOTOS, fitted={})
    inputs = image_inputs(PHOTOS, pipeline, TRANSFORMS, "all")
    assert inputs.in_words == (
        "images: uint8 [batch, 3, height, width], RGB images of any size, one size in a batch, 0 to 255"
    )
    assert inputs.takes_any_size
    assert inputs.free_dimensions == {0: "batch", 2: "height", 3: "width"}
    assert inputs.transforms_outside == ""
    assert inputs.description["transforms_inside"] == [{"resize": {"size": [8, 8]}}]
    samples = random_samples(PHOTOS, inputs.example_shape, 4)
    assert samples.shape[2] != samples.shape[3]
    assert agree(inputs, samples)
    assert inputs.to_trained(samples).shape == (4, 3, 8, 8)


def test_images_without_image_transforms_keep_their_size():
    pipeline = build_pipeline(TRANSFORMS[1:], PHOTOS, fitted={})
    assert not image_inputs(PHOTOS, pipeline, TRANSFORMS[1:], "all").takes_any_size


def test_a_transform_that_no_file_holds_is_named():
    transforms = [{"pad": {"padding": 2}}, *TRANSFORMS]
    pipeline = build_pipeline(transforms, PHOTOS, fitted={})
    with pytest.raises(ConfigError, match=r"the evaluation uses pad \(padding 2\), resize \(size \[8, 8\]\)"):
        image_inputs(PHOTOS, pipeline, transforms, "all")


@pytest.mark.parametrize(
    ("format", "setting", "preprocessing"),
    [
        ("onnx", "auto", "scaling"),
        ("onnx", True, "all"),
        ("onnx", False, "none"),
        ("safetensors", "auto", "none"),
    ],
)
def test_what_a_file_does_to_its_inputs(format: str, setting: bool | str, preprocessing: str):
    assert resolve_preprocessing(setting, FORMATS[format]) == preprocessing
