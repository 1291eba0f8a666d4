"""Transfer learning: a frozen backbone keeps its bits, tensors are counted, files that do not fit are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision as tv

from ptrun.errors import CheckpointError, ConfigError, DataError
from ptrun.models.pretrained import torchvision, transfer
from ptrun.spec import DataSpec, Layout, Task

SPEC = DataSpec(layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(1, 16, 16), num_outputs=4)


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights whose batch-norm statistics are not those of a new network."""
    torch.manual_seed(0)
    network = tv.models.resnet18()
    network(torch.randn(4, 3, 64, 64))
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(network.state_dict(), path)
    return path


def take_steps(model: torch.nn.Module, steps: int = 2) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    model.train()
    for _ in range(steps):
        loss = F.cross_entropy(model(torch.randn(8, 1, 16, 16)), torch.arange(8) % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def changed(model: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def snapshot(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_a_frozen_backbone_is_bitwise_unchanged_statistics_included(resnet18):
    model = transfer(SPEC, arch="resnet18", weights=str(resnet18))
    file = torch.load(resnet18, weights_only=True)
    before = snapshot(model)
    take_steps(model)
    assert changed(model, before) == {"head.0.weight", "head.0.bias", "head.3.weight", "head.3.bias"}
    for name, tensor in model.backbone.state_dict().items():
        assert torch.equal(tensor, file[name]), name


def test_features_are_those_of_the_network_before_its_head(resnet18):
    model = transfer(SPEC, arch="resnet18", weights=str(resnet18), image_size=None).eval()
    network = tv.models.resnet18().eval()
    network.load_state_dict(torch.load(resnet18, weights_only=True))
    images = torch.randn(2, 1, 64, 64)
    expected = network(images.expand(-1, 3, -1, -1))
    torch.testing.assert_close(network.fc(model.backbone(model.inputs(images))), expected)


def test_unfreezing_trains_the_backbone_with_its_own_learning_rate(resnet18):
    model = transfer(SPEC, arch="resnet18", weights=str(resnet18), unfreeze_at_epoch=2, backbone_lr_scale=0.25)
    assert model.lr_scale("backbone.conv1.weight") == 0.25
    assert model.lr_scale("head.0.weight") == 1.0
    model.start_epoch(1)
    assert model.frozen
    model.start_epoch(3)  # as after a resume: epoch 2 was never announced
    before = snapshot(model)
    take_steps(model, steps=1)
    assert changed(model, before) == {*before}
    model.eval()
    assert not any(module.training for module in model.modules())


def test_notes_count_what_was_loaded(resnet18):
    model = transfer(SPEC, arch="resnet18", weights=str(resnet18))
    loaded = f"120 of 122 tensors loaded from {resnet18}; the head (2 tensors: fc.bias, fc.weight) is new"
    assert model.notes[0] == loaded
    assert "resized to 64x64" in model.notes[1]
    whole = torchvision(SPEC, arch="resnet18", weights=str(resnet18))
    assert whole.notes[0] == loaded


def test_weights_are_not_read_when_a_checkpoint_restores_them(tmp_path):
    model = transfer(SPEC, arch="resnet18", weights=str(tmp_path / "gone.pth"), restoring=True)
    assert not any("tensors" in note for note in model.notes)


@pytest.mark.parametrize("arch", ["resnet50", "mobilenet_v2"])
def test_other_backbones_from_a_file(arch, tmp_path):
    path = tmp_path / "weights.pth"
    network = tv.models.get_model(arch)
    torch.save(network.state_dict(), path)
    model = transfer(SPEC, arch=arch, weights=str(path), hidden_features=8)
    before = snapshot(model)
    take_steps(model, steps=1)
    assert all(name.startswith("head.") for name in changed(model, before))
    name, tensor = next(iter(network.state_dict().items()))
    assert torch.equal(model.backbone.state_dict()[name], tensor)


def test_another_architectures_file_is_refused_with_names(resnet18):
    with pytest.raises(CheckpointError) as caught:
        transfer(SPEC, arch="resnet34", weights=str(resnet18))
    assert "missing in the file: layer1.2.conv1.weight" in str(caught.value)


@pytest.mark.parametrize(
    "arch", ["googlenet", "densenet121", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"]
)
def test_every_kind_of_head_is_cut(arch):
    model = transfer(SPEC, arch=arch, weights=None, hidden_features=8)
    model.train()
    assert model(torch.randn(2, 1, 16, 16)).shape == (2, 4)


def test_auxiliary_classifiers_of_a_file_are_left_out(tmp_path):
    path = tmp_path / "googlenet.pth"
    torch.save(tv.models.googlenet(init_weights=False).state_dict(), path)
    model = torchvision(SPEC, arch="googlenet", weights=str(path))
    assert "tensors of auxiliary classifiers in the file are not used" in model.notes[0]
    assert model.train()(torch.randn(2, 1, 16, 16)).shape == (2, 4)


def test_old_densenet_names_are_understood(tmp_path):
    path = tmp_path / "densenet.pth"
    state = tv.models.densenet121().state_dict()
    for part in ("norm", "conv"):
        state = {
            (
                name.replace(f".{part}1.", f".{part}.1.").replace(f".{part}2.", f".{part}.2.")
                if "denselayer" in name
                else name
            ): t
            for name, t in state.items()
        }
    assert any(".norm.1." in name for name in state)
    torch.save(state, path)
    assert "tensors loaded" in torchvision(SPEC, arch="densenet121", weights=str(path)).notes[0]


def test_unknown_weights_are_told_with_those_that_exist():
    with pytest.raises(ConfigError, match=r"no weights 'IMAGENET1K_V3' of resnet50\. Did you mean 'IMAGENET1K_V"):
        transfer(SPEC, weights="IMAGENET1K_V3")


def test_without_network_the_sentence_says_where_the_file_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in [name for name in os.environ if name.lower() in ("no_proxy", "all_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # the discard port: nothing listens
    with pytest.raises(DataError) as caught:
        transfer(SPEC)
    sentence = str(caught.value)
    assert "https://download.pytorch.org/models/resnet50-11ad3fa6.pth can't be downloaded" in sentence
    assert f"into {tmp_path}/hub/checkpoints" in sentence
    assert "model.weights=FILE" in sentence


def test_torchs_cache_is_used_before_the_network(resnet18, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "resnet18-f37072fd.pth").write_bytes(resnet18.read_bytes())
    assert "120 of 122 tensors" in transfer(SPEC, arch="resnet18", weights="IMAGENET1K_V1").notes[0]


@pytest.mark.parametrize("build", [transfer, torchvision])
def test_images_with_other_channels_and_other_data_are_told(build):
    spec = {"task": Task.CLASSIFICATION, "num_outputs": 4}
    with pytest.raises(ConfigError, match=r"1 or 3 channels, but those of the data set have 4"):
        build(DataSpec(layout=Layout.IMAGE, input_shape=(4, 8, 8), **spec), weights=None)
    with pytest.raises(ConfigError, match=r"reads images, but the data set gives rows of features"):
        build(DataSpec(layout=Layout.VECTOR, input_shape=(4,), **spec), weights=None)


def test_a_frozen_backbone_of_random_weights_is_told():
    note = transfer(SPEC, arch="resnet18", weights=None).notes[0]
    assert "frozen and has random weights (model.weights=null)" in note
    for settings in ({"unfreeze_at_epoch": 0}, {"restoring": True}):
        notes = transfer(SPEC, arch="resnet18", weights=None, **settings).notes
        assert not any("random weights" in note for note in notes)
