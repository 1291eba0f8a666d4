from __future__ import annotations

import copy
import inspect
import io

import pytest
import torch
from torch import nn

from ptrun.config import schema
from ptrun.errors import ConfigError
from ptrun.optim.optimizers import build_optimizer, needs_closure
from ptrun.registry import optimizers

IMPLEMENTATION = {"foreach", "fused", "capturable", "differentiable", "maximize", "params", "self"}
OWN = {"no_decay_norm_bias", "adamw_lr"}
CLASSES = {
    name.lower(): cls
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
}


@pytest.mark.parametrize("name", sorted(optimizers))
def test_settings_and_defaults_are_those_of_torch(name: str):
    of_torch = inspect.signature(CLASSES[name.replace("_", "")].__init__).parameters
    settings = optimizers.keywords(name)
    assert set(settings) - OWN == set(of_torch) - IMPLEMENTATION
    for key in set(settings) & set(of_torch) - {"lr"}:
        assert settings[key].default == of_torch[key].default, key
    assert ("no_decay_norm_bias" in settings) == ("weight_decay" in settings)


def test_every_optimizer_of_torch_is_registered():
    assert {name.replace("_", "") for name in optimizers} == set(CLASSES)


@pytest.mark.parametrize("name", sorted(optimizers))
def test_the_yaml_file_has_the_settings_in_the_order_of_the_signature(name: str):
    assert list(schema.require("optimizer", name).keys) == list(optimizers.keywords(name))


@pytest.mark.parametrize("name", sorted(optimizers))
def test_every_optimizer_is_a_plain_function_that_names_its_source(name: str):
    function = optimizers.get(name)
    assert inspect.isfunction(function)
    assert function.__name__ == name
    assert not hasattr(function, "__signature__")
    assert any(character.isdigit() for character in inspect.getdoc(function) or ""), "no paper with its year"


@pytest.mark.parametrize("name", sorted(set(optimizers) - {"sparse_adam", "lbfgs"}))
def test_saved_and_restored_state_continues_bit_for_bit(name: str, net, train):
    model = net()
    optimizer = build_optimizer(name, {}, model)
    train(model, optimizer)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = copy.deepcopy(model)
    other.load_state_dict(saved["model"])
    restored = build_optimizer(name, {}, other)
    restored.load_state_dict(saved["optimizer"])
    assert all(map(torch.equal, train(model, optimizer), train(other, restored)))


def test_lists_of_yaml_become_tuples(net):
    optimizer = build_optimizer("adamw", {"betas": [0.8, 0.9]}, net())
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)


def test_only_lbfgs_needs_a_closure(net):
    assert [name for name in ("adamw", "lbfgs", "muon", "sgd") if needs_closure(build_optimizer(name, {}, net()))] == [
        "lbfgs"
    ]


def test_a_wrong_setting_is_reported_with_the_nearest_name(net):
    with pytest.raises(ConfigError, match=r"optimizer\.momentun: .*Did you mean 'momentum'"):
        build_optimizer("sgd", {"momentun": 0.9}, net())


def test_a_model_without_parameters_is_refused():
    with pytest.raises(ConfigError, match="no parameters, so there is nothing for 'sgd' to train"):
        build_optimizer("sgd", {}, nn.ReLU())


def test_frozen_parameters_are_included_but_not_changed(net, train):
    model = net()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    optimizer = build_optimizer("sgd", {}, model)
    train(model, optimizer)
    assert len(optimizer.param_groups[0]["params"]) == len(list(model.parameters()))
    assert torch.equal(model[0].weight, before)
