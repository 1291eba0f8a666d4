"""Cifar_net begins with filters that whiten the training images, and keeps them through training and checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import train

from ptrun.checkpoint import store
from ptrun.data.datasets.arrays import arrays
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError
from ptrun.models.cifar_net import Whitening, cifar_net
from ptrun.optim.optimizers import build_optimizer
from ptrun.spec import DataSpec, Layout, Task


def make_spec(*shape: int, layout: Layout = Layout.IMAGE) -> DataSpec:
    return DataSpec(layout=layout, task=Task.CLASSIFICATION, input_shape=shape, num_outputs=10)


def natural_images(count: int, channels: int) -> torch.Tensor:
    """Smooth noise: neighbouring pixels and channels are alike, as in photos."""
    coarse = torch.randn(count, 1, 4, 4) + 0.3 * torch.randn(count, channels, 4, 4)
    return F.interpolate(coarse, (16, 16), mode="bilinear") + 0.1 * torch.randn(count, channels, 16, 16)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_first_filters_whiten_patches(channels: int):
    torch.manual_seed(0)
    images = natural_images(400, channels)
    layer = Whitening(channels)
    layer.fit(images)
    half = 4 * channels
    responses = layer(images).transpose(0, 1).flatten(1)
    assert torch.equal(responses[half:], -responses[:half])
    products = responses[:half] @ responses[:half].T / responses.shape[1]
    torch.testing.assert_close(products, torch.eye(half), atol=0.1, rtol=0)


def test_number_of_weights_is_that_of_airbench94():
    convolutions = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 256 * 256 + 256 * 256 + 256 * 256)
    norms = 2 * 2 * (64 + 256 + 256)
    model = cifar_net(make_spec(3, 32, 32))
    assert sum(p.numel() for p in model.parameters()) == convolutions + norms + 24 + 256 * 10
    assert model.whitening.filters.numel() == 24 * 12


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8), (2, 2, 9)])
def test_images_of_any_size_fit(shape: tuple[int, ...]):
    assert cifar_net(make_spec(*shape), channels=[4, 4, 4])(torch.randn(4, *shape)).shape == (4, 10)


def test_biases_of_batch_norm_get_a_learning_rate_of_their_own():
    model = cifar_net(make_spec(1, 8, 8), channels=[4], norm_bias_lr_scale=64.0)
    optimizer = build_optimizer("sgd", {"lr": 0.5}, model)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    rate_of = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert {name for name, rate in rate_of.items() if rate == 32.0} == {"stages.3.bias", "stages.6.bias"}
    assert rate_of["whitening.bias"] == rate_of["head.weight"] == 0.5


def test_a_run_fits_the_filters_to_its_training_images_and_a_checkpoint_holds_them(folder: Path):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 60, (40, 16, 16), generator=generator, dtype=torch.uint8).numpy()
    np.savez("images.npz", x_train=images, y_train=np.arange(40) % 2)
    overrides = ["model=cifar_net", "model.channels=[4]", "dataset=arrays", "dataset.path=images.npz", "transform=none"]
    result = train(*overrides, "train.epochs=1", "optimizer.lr=0.001", "scheduler=none", quiet=True)
    assert '"lr": 0.001,' in (result.run_dir / "metrics.jsonl").read_text()  # and not that of the norms' biases
    weights = store.load(result.run_dir / "checkpoints" / "last.pt")["model"]
    split = arrays(path="images.npz").train
    assert isinstance(split, TensorSplit)
    expected = Whitening(1)
    expected.fit(split.inputs.float() / 255)
    torch.testing.assert_close(weights["whitening.filters"].abs(), expected.filters.abs(), rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_told():
    with pytest.raises(ConfigError, match=r"model=cifar_net needs images of 2x2 pixels and more, not \[1, 1, 5\]"):
        cifar_net(make_spec(1, 1, 5))
    with pytest.raises(ConfigError, match=r"model=cifar_net reads images, but the data set gives sequences"):
        cifar_net(make_spec(30, 1, layout=Layout.SEQUENCE))
