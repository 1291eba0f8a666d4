"""What is exported follows the configuration: scaling, outputs, description, and the samples for the check."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import run_config
from torch import nn

from ptrun import registry
from ptrun.build.data import Prepared, build_eval_pipeline, prepare
from ptrun.build.export import (
    build_inputs,
    build_served,
    can_resize_inside,
    describe_components,
    read_in_chunks,
    read_samples,
    settings_for_export,
    uses_views,
    without_download,
)
from ptrun.config.run_config import RunConfig
from ptrun.data.dataset import Data
from ptrun.errors import ConfigError
from ptrun.export.inputs import ModelInputs, Preprocessing


@pytest.mark.parametrize("dataset", ["breast_cancer", "diabetes", "series"])
def test_numbers_go_in_as_the_data_have_them(dataset: str):
    config = run_config(f"dataset={dataset}")
    prepared = prepare(config, None)
    inputs = build_inputs(config, prepared.spec, None, prepared.data.fitted, "scaling")
    samples = read_samples(prepared, prepared.data.test, range(9), inputs)
    raw = inputs.from_samples(samples)
    assert raw.dtype is torch.float64
    assert torch.equal(inputs.preparation(raw), samples), "the scores have the bits that the data set gives them"
    mean = torch.tensor(prepared.data.fitted["mean"], dtype=torch.float64)
    assert ((raw - mean).abs().amax(0) > 0).all()


def test_images_go_in_before_their_normalization():
    config = run_config("transform=normalize")
    prepared = prepare(config, None)
    pipeline = build_eval_pipeline(config, prepared.spec, prepared.fitted())
    inputs = build_inputs(config, prepared.spec, pipeline, prepared.data.fitted, "scaling")
    images = read_samples(prepared, prepared.data.test, [3, 1], inputs)
    assert torch.equal(images, torch.stack([prepared.data.test.read(3), prepared.data.test.read(1)]))
    assert torch.equal(inputs.preparation(images), inputs.to_trained(images))
    chunks = list(read_in_chunks(prepared, prepared.data.test, inputs, chunk=100))
    assert sum(map(len, chunks)) == len(prepared.data.test)
    assert torch.equal(chunks[0][[3, 1]], images)


def test_the_numbers_of_a_plugin_are_taken_as_they_are():
    original = registry.datasets.get("iris")

    def flowers(*, fitted: object = None) -> Data:
        return original()

    registry.datasets.add("flowers", flowers)
    try:
        config = run_config("dataset=iris")
        config = type(config)(**{**vars(config), "dataset": type(config.dataset)("flowers", {})})
        prepared = prepare(config, None)
        inputs = build_inputs(config, prepared.spec, None, prepared.data.fitted, "scaling")
        assert isinstance(inputs.preparation, nn.Identity), "its `mean` may mean anything"
    finally:
        registry.datasets._functions.pop("flowers")


@pytest.mark.parametrize(("loss", "words"), [("cross_entropy", "softmax"), ("binary_cross_entropy", "one sigmoid")])
def test_probabilities_follow_the_loss(loss: str, words: str):
    config = run_config(f"loss={loss}")
    prepared = prepare(config, None)
    pipeline = build_eval_pipeline(config, prepared.spec, prepared.fitted())
    inputs = build_inputs(config, prepared.spec, pipeline, prepared.data.fitted, "none")
    outputs = torch.tensor([[3.0, 1.0, *[-2.0] * 8]])
    named = build_served(config, prepared.spec, inputs, nn.Identity())(outputs)
    scores = outputs.sigmoid() if loss == "binary_cross_entropy" else outputs.exp()
    assert named["probabilities"].numpy() == pytest.approx((scores / scores.sum()).numpy(), rel=1e-5)
    facts = describe_components(config, prepared.spec)
    assert facts["probabilities"].startswith(words)
    assert json.loads(facts["class_names"]) == list("0123456789")
    assert json.loads(facts["model"])["name"] == config.model.name


def test_an_export_computes_on_the_cpu_in_fp32():
    assert settings_for_export({"dataset.path": "a.csv", "device.threads": 1}) == {
        "device": "cpu",
        "device.precision": "fp32",
        "device.channels_last": False,
        "dataset.path": "a.csv",
        "device.threads": 1,
    }
    with pytest.raises(ConfigError, match=r"device\.precision: can't be set for an export"):
        settings_for_export({"device.precision": "bf16"})


def test_an_export_downloads_nothing(tmp_path: Path):
    config = run_config("dataset=mnist", f"dataset.root={tmp_path}")
    assert without_download(config).dataset.settings["download"] is False
    assert without_download(run_config("dataset=digits")) == run_config("dataset=digits")


def test_views_of_an_evaluation():
    assert uses_views(run_config("train.eval_views=flip"))
    assert not uses_views(run_config())


def photos(folder: Path, *overrides: str) -> RunConfig:
    """The configuration of a training on small images of several sizes."""
    for label in ("a", "b"):
        (folder / label).mkdir()
        for i in range(10):
            pixels = np.random.default_rng(i).integers(0, 256, (20 + i, 24, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    transforms = "[{resize:{size:10}},{center_crop:{size:8}},normalize]"
    return run_config(
        "dataset=image_folder",
        f"dataset.root={folder}",
        f"transform.train={transforms}",
        f"transform.eval={transforms}",
        *overrides,
    )


def inputs_of(config: RunConfig, prepared: Prepared, preprocessing: Preprocessing) -> ModelInputs:
    pipeline = build_eval_pipeline(config, prepared.spec, prepared.fitted())
    return build_inputs(config, prepared.spec, pipeline, prepared.data.fitted, preprocessing)


def test_images_of_different_sizes_are_read_one_by_one(tmp_path: Path):
    config = photos(tmp_path)
    prepared = prepare(config, None)
    test = prepared.data.test
    images = read_samples(prepared, test, range(len(test)), inputs_of(config, prepared, "scaling"))
    assert images.dtype is torch.uint8
    assert images.shape[1:] == (3, 8, 8)


def test_whole_images_are_read_for_a_file_that_resizes(tmp_path: Path):
    config = photos(tmp_path)
    prepared = prepare(config, None)
    inputs, test = inputs_of(config, prepared, "all"), prepared.data.test
    images = read_samples(prepared, test, range(len(test)), inputs)
    assert images.shape[1:] == test.read(0).shape
    assert torch.equal(inputs.preparation(images), inputs.to_trained(images))
    chunks = list(read_in_chunks(prepared, test, inputs))
    assert [chunk.shape[1:] for chunk in chunks] == [test.read(i).shape for i in range(len(test))]
    pipeline = prepared.pipelines.eval
    assert pipeline is not None
    for chunk in chunks:
        assert torch.equal(inputs.preparation(chunk), pipeline.finish(pipeline.fixed(chunk)))


def test_photos_that_the_decoder_reduces_are_not_resized_by_a_file(tmp_path: Path):
    config = photos(tmp_path, "dataset.decode=scaled")
    prepared = prepare(config, None)
    assert not can_resize_inside(config)
    with pytest.raises(ConfigError, match=r"Add dataset\.decode=exact"):
        inputs_of(config, prepared, "all")
    assert can_resize_inside(run_config("transform=imagenet"))
    assert not can_resize_inside(run_config("transform=normalize"))
