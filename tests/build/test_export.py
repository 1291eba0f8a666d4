"""What is exported follows the configuration: scaling, outputs, description, and the samples for the check."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support import run_config
from torch import nn

from ptrun import registry
from ptrun.build.data import build_eval_pipeline, prepare
from ptrun.build.export import (
    build_inputs,
    build_served,
    describe_components,
    read_in_chunks,
    read_samples,
    settings_for_export,
    uses_views,
    without_download,
)
from ptrun.data.dataset import Data
from ptrun.errors import ConfigError


@pytest.mark.parametrize("dataset", ["breast_cancer", "diabetes", "series"])
def test_numbers_go_in_as_the_data_have_them(dataset: str):
    config = run_config(f"dataset={dataset}")
    prepared = prepare(config, None)
    inputs = build_inputs(config, prepared.spec, None, prepared.data.fitted, True)
    samples = read_samples(prepared, prepared.data.test, range(9))
    raw = inputs.from_samples(samples)
    assert raw.dtype is torch.float64
    assert torch.equal(inputs.preparation(raw), samples), "the scores have the bits that the data set gives them"
    mean = torch.tensor(prepared.data.fitted["mean"], dtype=torch.float64)
    assert ((raw - mean).abs().amax(0) > 0).all()


def test_images_go_in_before_their_normalization():
    config = run_config("transform=normalize")
    prepared = prepare(config, None)
    pipeline = build_eval_pipeline(config, prepared.spec, prepared.fitted())
    inputs = build_inputs(config, prepared.spec, pipeline, prepared.data.fitted, True)
    images = read_samples(prepared, prepared.data.test, [3, 1])
    assert torch.equal(images, torch.stack([prepared.data.test.read(3), prepared.data.test.read(1)]))
    assert torch.equal(inputs.preparation(images), inputs.to_trained(images))
    chunks = list(read_in_chunks(prepared, prepared.data.test, chunk=100))
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
        inputs = build_inputs(config, prepared.spec, None, prepared.data.fitted, True)
        assert isinstance(inputs.preparation, nn.Identity), "its `mean` may mean anything"
    finally:
        registry.datasets._functions.pop("flowers")


@pytest.mark.parametrize(("loss", "words"), [("cross_entropy", "softmax"), ("binary_cross_entropy", "one sigmoid")])
def test_probabilities_follow_the_loss(loss: str, words: str):
    config = run_config(f"loss={loss}")
    prepared = prepare(config, None)
    pipeline = build_eval_pipeline(config, prepared.spec, prepared.fitted())
    inputs = build_inputs(config, prepared.spec, pipeline, prepared.data.fitted, False)
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


def test_images_of_different_sizes_are_read_one_by_one(tmp_path: Path):
    from PIL import Image

    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(10):
            pixels = np.full((20 + i, 24, 3), 10 * i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    transforms = "[{resize:{size:[8,8]}},normalize]"
    config = run_config(
        "dataset=image_folder",
        f"dataset.root={tmp_path}",
        f"transform.train={transforms}",
        f"transform.eval={transforms}",
    )
    prepared = prepare(config, None)
    images = read_samples(prepared, prepared.data.test, range(len(prepared.data.test)))
    assert images.dtype is torch.uint8
    assert images.shape[1:] == (3, 8, 8)
