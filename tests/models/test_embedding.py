"""Embeddings: what the head of every model of the registry reads, one row for each sample."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun import catalog
from ptrun.errors import ConfigError
from ptrun.models.embedding import Embedder
from ptrun.models.simplenet import simplenet
from ptrun.registry import models
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES
CLASSES = 3
SHAPES = {Layout.IMAGE: (3, 16, 16), Layout.VECTOR: (6,), Layout.SEQUENCE: (24, 2)}
SMALL = {
    "transfer": {"arch": "mobilenet_v3_small", "weights": None, "hidden_features": 8},
    "torchvision": {"arch": "squeezenet1_1"},
    "timm": {"arch": "test_resnet"},
    "patch_transformer": {"patch_length": 4, "patch_stride": 2, "width": 8, "num_layers": 1},
    "resnet_cifar": {"depth": 8},
}
FEATURES = {  # of the layer before the head, where they are not a setting
    "transfer": 8,
    "torchvision": 512,
    "resnet_cifar": 64,
    "dlinear": 2 * 24,
    "nlinear": 2 * 24,
}


def spec_for(layout: Layout, *, forecast: bool = False) -> DataSpec:
    if forecast:
        return DataSpec(
            layout=layout,
            task=Task.REGRESSION,
            input_shape=SHAPES[layout],
            num_outputs=8,
            target_names=tuple(f"{name} +{step}" for step in range(1, 5) for name in "ab"),
            feature_names=("a", "b"),
            horizon=4,
        )
    return DataSpec(layout=layout, task=Task.CLASSIFICATION, input_shape=SHAPES[layout], num_outputs=CLASSES)


def fitting_spec(name: str) -> tuple[nn.Module, DataSpec]:
    """A model of the registry, and the first kind of data that it takes."""
    for spec in (*(spec_for(layout) for layout in Layout), spec_for(Layout.SEQUENCE, forecast=True)):
        try:
            return models.build(name, SMALL.get(name, {}), spec).eval(), spec
        except ConfigError:
            continue
    raise AssertionError(name)


@pytest.mark.parametrize("name", [*models])
def test_every_model_has_an_embedding_with_a_row_for_each_sample(name):
    torch.manual_seed(0)
    model, spec = fitting_spec(name)
    inputs = 100 * torch.randn(5, *spec.input_shape)
    with torch.inference_mode():
        embedding = Embedder(model, spec.num_outputs)(inputs)
        again = Embedder(model, spec.num_outputs)(inputs.flip(0)).flip(0)
    assert embedding.shape[0] == 5
    assert embedding.shape[1] == FEATURES.get(name, embedding.shape[1])
    torch.testing.assert_close(embedding, again, atol=1e-3, rtol=1e-3)  # row i belongs to sample i
    assert not torch.equal(embedding[0], embedding[1])


def test_the_head_gives_the_outputs_from_the_embedding():
    spec = spec_for(Layout.VECTOR)
    model = simplenet(spec, hidden_features=[7]).eval()
    inputs = torch.randn(4, 6)
    head = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    assert torch.equal(head(Embedder(model, CLASSES)(inputs)), model(inputs))


def test_the_linear_map_of_the_window_is_not_taken_for_the_head():
    spec = spec_for(Layout.SEQUENCE, forecast=True)
    model = models.build("lstm", {"hidden_features": 9}, spec).eval()
    assert model.autoregression is not None
    assert Embedder(model, spec.num_outputs)(torch.randn(2, 24, 2)).shape == (2, 9)


def test_the_network_is_left_without_hooks():
    model = simplenet(spec_for(Layout.VECTOR))
    Embedder(model, CLASSES)(torch.randn(2, 6))
    assert not any(layer._forward_pre_hooks for layer in model.modules())


def test_a_network_without_a_linear_layer_is_told():
    with pytest.raises(ConfigError, match="'Flatten' has no linear layer"):
        Embedder(nn.Flatten(), CLASSES)
