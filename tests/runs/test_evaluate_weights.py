"""`ptrun eval weights=FILE model=...`: weights from elsewhere give the outputs of the program that they come from."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import Ended, newest_evaluation
from torch import Tensor, nn

import ptrun as ptrun_api
from ptrun.errors import ConfigError

Call = Callable[..., Ended]
IMAGENET = "[{normalize: {mean: imagenet, std: imagenet}}]"
SETTINGS = (
    "model=resnet_cifar", "model.depth=8", "model.zero_channels=both", "dataset=arrays", "dataset.path=images.npz",
    f"transform.train={IMAGENET}", f"transform.eval={IMAGENET}", "device=cpu", "plots=false",
)  # fmt: skip


class Block(nn.Module):
    """The basic block of akamaster/pytorch_resnet_cifar10, with its names."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.widens = after != before

    def forward(self, maps: Tensor) -> Tensor:
        change = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(maps)))))
        quarter = len(change[0]) // 4
        shortcut = F.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter)) if self.widens else maps
        return F.relu(change + shortcut)


class PublishedResNet(nn.Module):
    """Its network of eight layers."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2))
        self.layer3 = nn.Sequential(Block(32, 64, 2))
        self.linear = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(images))))))
        return self.linear(F.avg_pool2d(maps, maps.shape[3]).flatten(1))


@pytest.fixture
def probabilities(folder: Path) -> np.ndarray:
    """Writes images and weights; what the published program computes for the test images."""
    torch.manual_seed(0)
    network = PublishedResNet(4)
    network(torch.randn(8, 3, 16, 16))
    wrapped = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": wrapped, "best_prec1": 92.6}, "resnet8.th")
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    np.savez("images.npz", x_train=images, y_train=np.arange(24) % 4, x_test=images[:8], y_test=np.arange(8) % 4)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    inputs = (torch.from_numpy(images[:8]).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        return network.eval()(inputs).softmax(1).numpy()


def test_a_published_cifar_resnet_gives_its_own_outputs(probabilities: np.ndarray, ptrun: Call, folder: Path):
    ended = ptrun("eval", *SETTINGS, "weights=resnet8.th")
    assert ended.code == 0, ended.err
    assert "44 of 44 tensors loaded from resnet8.th, in their order" in " ".join(ended.out.split())
    out = newest_evaluation(folder)
    assert {path.name for path in out.iterdir()} >= {"metrics.json", "predictions.csv", "receipt.json"}
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ours = np.array([[float(row[f"prob_{label}"]) for label in range(4)] for row in rows])
    np.testing.assert_allclose(ours, probabilities, atol=2e-5)
    receipt = json.loads((out / "receipt.json").read_text(encoding="utf-8"))
    assert receipt["weights"] == str(folder / "resnet8.th")


def test_zeros_on_one_side_are_another_network(probabilities: np.ndarray, ptrun: Call, folder: Path):
    assert ptrun("eval", *SETTINGS, "model.zero_channels=end", "weights=resnet8.th").code == 0
    loss = json.loads((newest_evaluation(folder) / "metrics.json").read_text(encoding="utf-8"))["loss"]
    assert abs(loss - float(-np.log(probabilities[np.arange(8), np.arange(8) % 4]).mean())) > 1e-3


def test_another_split_of_the_data(probabilities: np.ndarray, ptrun: Call, folder: Path):
    assert len(probabilities) == 8
    assert ptrun("eval", *SETTINGS, "weights=resnet8.th", "split=val", "-q").code == 0
    document = json.loads((newest_evaluation(folder) / "metrics.json").read_text(encoding="utf-8"))
    assert document["split"] == "val"


def test_the_same_from_python(probabilities: np.ndarray, folder: Path):
    result = ptrun_api.eval(None, *SETTINGS[1:], weights=Path("resnet8.th"), model="resnet_cifar", quiet=True)
    own = -np.log(probabilities[range(8), np.arange(8) % 4]).mean()
    assert result.metrics["loss"] == pytest.approx(own, abs=1e-4)
    with pytest.raises(ConfigError, match="checkpoint"):
        ptrun_api.eval(split="val")


def test_weights_for_other_outputs_cannot_be_evaluated(probabilities: np.ndarray, ptrun: Call):
    state = torch.load("resnet8.th", weights_only=True)["state_dict"]
    state |= {"module.linear.weight": torch.ones(9, 64), "module.linear.bias": torch.ones(9)}
    torch.save(state, "nine.th")
    ended = ptrun("eval", *SETTINGS, "weights=nine.th")
    assert ended.code == 4
    assert "fits the model but for its head, which gives the 4 outputs of these data" in ended.err
    assert "or train the head: `ptrun train` takes the same settings" in ended.err


def test_the_network_of_the_weights_is_named(ptrun: Call, folder: Path):
    (folder / "photos").mkdir()
    torch.save({"a": torch.zeros(1)}, folder / "mobilenet_v2.pth")
    ended = ptrun("eval", "weights=mobilenet_v2.pth", "dataset=image_folder", "dataset.root=photos")
    assert ended.code == 2
    assert "a file of weights does not say of which network they are. Name it: model=NAME" in ended.err


def test_without_weights_a_checkpoint_is_asked_for(ptrun: Call):
    ended = ptrun("eval", "model=resnet_cifar")
    assert ended.code == 2
    assert "checkpoint: a value is needed" in ended.err
