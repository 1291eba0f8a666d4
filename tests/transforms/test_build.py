"""Building a pipeline: all mistakes of a list in one error."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.errors import ConfigError, DataError
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline
from ptrun.transforms.pipeline import Pipeline

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


def test_mixing_comes_after_the_transforms_of_one_image() -> None:
    with pytest.raises(ConfigError, match="Put them after the transforms that change one image"):
        pipeline(["mixup", "horizontal_flip"])


def test_all_mistakes_of_a_list_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        pipeline(
            ["normalize", {"resise": {"size": 3}}, {"resize": None}, {"a": {}, "b": {}}, {"pad": 3}, "horizontal_flip"]
        )
    problems = caught.value.problems
    assert problems[0].startswith("transform, number 2: There is no image transform 'resise'. Did you mean 'resize'?")
    assert (
        problems[1]
        == "transform, number 3: image_transform.size: image transform 'resize' needs a value for this setting."
    )
    assert problems[2].startswith("transform, number 4: expected a name or one `NAME: {settings}`, got {'a'")
    assert problems[3] == "transform, number 5: expected `pad: {SETTING: VALUE}`, got `pad: 3`."
    assert "normalize has to come last" in problems[4]
    assert len(problems) == 5


def test_other_mistakes_are_reported() -> None:
    with pytest.raises(ConfigError, match="transform, number 1: color_jitter refuses its settings"):
        pipeline([{"color_jitter": {"hue": 3.0}}])
    with pytest.raises(ConfigError, match=r"normalize\.std: 2 values are given, but the images have 3 channels"):
        pipeline([{"normalize": {"mean": 0.5, "std": [1, 2]}}])
    with pytest.raises(ConfigError, match=r"normalize\.mean: there are no statistics 'imagent'"):
        pipeline([{"normalize": {"mean": "imagent", "std": 1}}])
    with pytest.raises(ConfigError, match="needs the training images"):
        pipeline(["normalize"])
    with pytest.raises(ConfigError, match="the data are of layout 'vector'"):
        build_pipeline([], spec(layout=Layout.VECTOR))
    with pytest.raises(DataError, match="no training images"):
        pipeline(["normalize"], sample_images=lambda: iter(()))
    mixed = [pictures()[0], pictures(channels=1)[0]]
    with pytest.raises(DataError, match="some images have 3 channels and others 1"):
        pipeline(["normalize"], sample_images=lambda: iter(mixed))
    pipe = pipeline(["normalize"], fitted={"mean": [0.5], "std": [0.5]})
    with pytest.raises(DataError, match="statistics of 1 channels, but the images have 3"):
        pipe.finish(pictures())
