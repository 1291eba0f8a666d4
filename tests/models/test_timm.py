"""Networks of timm: any channels and sizes, weights of timm's own files, a frozen network keeps its bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm as library
import torch
import torch.nn.functional as F

from ptrun.errors import CheckpointError, ConfigError
from ptrun.models.embedding import Embedder
from ptrun.models.timm import TimmNet, input_statistics, timm
from ptrun.spec import DataSpec, Layout, Task


def spec_of(*shape: int, layout: Layout = Layout.IMAGE) -> DataSpec:
    return DataSpec(
        layout=layout,
        task=Task.CLASSIFICATION,
        input_shape=shape,
        num_outputs=4,
        class_names=("a", "b", "c", "d"),
    )


def saved(folder: Path, arch: str, num_classes: int) -> tuple[torch.nn.Module, str]:
    """A network of timm and the file of its weights."""
    torch.manual_seed(3)
    network = library.create_model(arch, num_classes=num_classes).eval()
    torch.save(network.state_dict(), folder / f"{arch}.pth")
    return network, str(folder / f"{arch}.pth")


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 70, 64), (4, 64, 64)])
def test_images_of_any_channels_and_size(shape: tuple[int, ...]):
    model = timm(spec_of(*shape), arch="test_resnet")
    assert model(torch.randn(2, *shape)).shape == (2, 4)


def test_the_outputs_are_those_of_timm(tmp_path: Path):
    network, path = saved(tmp_path, "test_vit", 4)
    model = timm(spec_of(3, 160, 160), arch="test_vit", weights=path).eval()
    images = torch.randn(2, 3, 160, 160)
    with torch.inference_mode():
        assert torch.equal(model(images), network(images))
        assert Embedder(model, 4)(images).shape == (2, network.num_features)
    assert "80 of 80 tensors loaded" in model.notes[0]
    assert "its head (head) is kept" in model.notes[0]


def test_other_classes_get_a_new_head_and_gray_images_three_channels(tmp_path: Path):
    network, path = saved(tmp_path, "test_resnet", 9)
    model = timm(spec_of(1, 64, 64), arch="test_resnet", weights=path)
    assert "the head (2 tensors: fc.bias, fc.weight) is new" in model.notes[0]
    assert torch.equal(model.network.conv1[0].weight, network.conv1[0].weight)


def test_weights_are_not_read_when_a_checkpoint_restores_them(tmp_path: Path):
    for weights in (str(tmp_path / "gone.pth"), "DEFAULT"):
        assert timm(spec_of(3, 64, 64), arch="test_resnet", weights=weights, restoring=True).notes == ()


def test_a_file_of_another_network_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="does not fit the model"):
        timm(spec_of(3, 64, 64), arch="test_resnet", weights=saved(tmp_path, "test_vit", 4)[1])


def test_frozen_trains_the_head_alone_statistics_included(tmp_path: Path):
    model = timm(spec_of(3, 64, 64), arch="test_resnet", weights=saved(tmp_path, "test_resnet", 9)[1], frozen=True)
    assert isinstance(model, TimmNet)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.1)
    model.train()
    F.cross_entropy(model(torch.randn(4, 3, 64, 64)), torch.arange(4)).backward()
    optimizer.step()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"network.fc.weight", "network.fc.bias"}
    assert any("random weights" in note for note in timm(spec_of(3, 64, 64), arch="test_resnet", frozen=True).notes)


@pytest.mark.parametrize(
    ("shape", "image_size", "expected"),
    [((1, 8, 8), "auto", 160), ((3, 200, 180), "auto", 160), ((3, 8, 8), 96, 96), ((3, 64, 64), None, 64)],
)
def test_a_network_with_a_fixed_size(shape: tuple[int, ...], image_size: int | str | None, expected: int):
    model = timm(spec_of(*shape), arch="test_vit", image_size=image_size)
    assert model.network.patch_embed.img_size == (expected, expected)
    assert model(torch.randn(2, *shape)).shape == (2, 4)
    assert any(f"resized to {expected}x{expected}" in note for note in model.notes) == (image_size is not None)


@pytest.mark.parametrize(("arch", "size"), [("test_vit", 100), ("test_maxvit", 100)])
def test_a_size_that_a_network_cannot_read_is_told_with_its_own(arch: str, size: int):
    with pytest.raises(ConfigError, match=rf"{arch} can't read images of 100x100 pixels .* Its own size is \d+x\d+"):
        timm(spec_of(3, 32, 32), arch=arch, image_size=size)


def test_other_data_are_told():
    with pytest.raises(ConfigError, match="reads images, but the data set gives sequences"):
        timm(spec_of(30, 2, layout=Layout.SEQUENCE))


def test_statistics_are_those_of_timm():
    assert input_statistics("vit_tiny_patch16_224", None) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert input_statistics("resnet18", "a1_in1k")[0] == (0.485, 0.456, 0.406)
