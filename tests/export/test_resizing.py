"""An exported model resizes and crops with the pixels of the image transforms, for images of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ptrun.export import onnx_file, torch_program
from ptrun.export.resizing import ResizeAndCrop, resizing_of
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline

SPEC = DataSpec(layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(3, 8, 8), num_outputs=2)
FREE = {0: "batch", 2: "height", 3: "width"}


def images_of(count: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)


def random_items(random: np.random.Generator) -> list[Any]:
    """Image transforms with any sizes that an exported model can hold."""
    sides = [int(side) for side in random.integers(2, 90, 4)]
    resize: dict[str, Any] = {"resize": {"size": sides[0] if random.random() < 0.5 else sides[:2]}}
    if random.random() < 0.7:
        resize["resize"]["interpolation"] = str(random.choice(["bilinear", "bicubic"]))
    crop = {"center_crop": {"size": sides[2] if random.random() < 0.5 else sides[2:]}}
    if isinstance(resize["resize"]["size"], list) and random.random() < 0.4:
        return [resize]
    return [crop] if random.random() < 0.1 else [resize, crop]


@pytest.mark.parametrize("seed", range(40))
def test_every_pixel_is_that_of_the_image_transforms(seed: int):
    random = np.random.default_rng(seed)
    items = random_items(random)
    resizing = resizing_of(items)
    assert resizing is not None
    images = images_of(2, *(int(side) for side in random.integers(3, 160, 2)))
    assert torch.equal(resizing(images), build_pipeline(items, SPEC, fitted={}).fixed(images).double()), items


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{"resize": {"size": 8}}],  # leaves the longer side free
        [{"resize": {"size": [8]}}],
        [{"center_crop": {"size": 8}}, {"resize": {"size": [8, 8]}}],
        [{"resize": {"size": [8, 8], "interpolation": "nearest"}}],
        [{"resize": {"size": [8, 8]}}, "grayscale"],
        [{"resize": {"size": [9, 9]}}, {"resize": {"size": [8, 8]}}],
        [{"random_crop": {"size": 8}}],
    ],
)
def test_other_transforms_are_not_held(items: list[Any]):
    assert resizing_of(items) is None


class Resized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.resizing = ResizeAndCrop((20,), (16, 18))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"logits": self.resizing(images).float()}


@pytest.fixture(scope="module")
def program() -> torch.export.ExportedProgram:
    # An example with equal sides would show if these became one.
    return torch_program.trace(Resized(), images_of(3, 24, 24), FREE, "resized")


BATCHES = [images_of(1, 24, 24), images_of(2, 30, 41), images_of(7, 41, 30), images_of(1, 9, 60), images_of(1, 5, 7)]


def test_a_torch_program_takes_any_size(program: torch.export.ExportedProgram):
    module, resized = program.module(), Resized()
    for images in BATCHES:
        assert torch.equal(module(images)["logits"], resized(images)["logits"])


def test_an_onnx_file_takes_any_size(program: torch.export.ExportedProgram, tmp_path: Path):
    path = tmp_path / "resized.onnx"
    model = onnx_file.convert(program, "images", FREE, ("logits",), "resized")
    with path.open("wb") as file:
        onnx_file.write(model, file, {})
    shape = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", 3, "height", "width"]
    for images, outputs in zip(BATCHES, onnx_file.run_file(path, BATCHES), strict=True):
        assert torch.equal(outputs["logits"], Resized()(images)["logits"])
