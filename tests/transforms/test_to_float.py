"""uint8 to float32: the same bits in any memory format."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline
from ptrun.transforms.pipeline import Pipeline
from ptrun.transforms.to_float import to_float

assert catalog.MODULES


def spec(channels: int = 3, layout: Layout = Layout.IMAGE) -> DataSpec:
    return DataSpec(
        layout=layout,
        task=Task.CLASSIFICATION,
        input_shape=(channels, 12, 12),
        num_outputs=2,
        class_names=("a", "b"),
    )


def pictures(count: int = 6, channels: int = 3, height: int = 12, width: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def pipeline(items: Any, channels: int = 3, **more: Any) -> Pipeline:
    return build_pipeline(items, spec(channels), **more)


def test_without_normalize_images_are_scaled_to_one() -> None:
    batch = pictures()
    assert torch.equal(pipeline([]).finish(batch), batch.float() / 255)


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("transforms", [[], [{"normalize": {"mean": [0.1, 0.2, 0.3], "std": [0.3, 0.2, 0.4]}}]])
def test_floats_have_the_same_bits_in_any_memory_format(transforms: list[Any], count: int) -> None:
    pipe, images = pipeline(transforms), pictures(count, height=150, width=131)
    expected = pipe.finish(images)
    by_pixel = images.contiguous(memory_format=torch.channels_last)
    result = pipe.finish(by_pixel)
    assert torch.equal(result, expected)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pipe.finish(images[:, :, ::2]), expected[:, :, ::2])


def test_channels_first_in_memory_has_the_same_numbers():
    images = torch.randint(0, 256, (3, 5, 7, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    scale, shift = torch.rand(3, 1, 1), torch.rand(3, 1, 1)
    for statistics in ((scale, shift), (None, None)):
        floats = to_float(images, *statistics, channels_first=True)
        assert floats.is_contiguous()
        assert torch.equal(floats, to_float(images, *statistics))
