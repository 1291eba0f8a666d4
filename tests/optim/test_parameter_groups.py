from __future__ import annotations

import torch
from torch import nn

from ptrun.optim.parameter_groups import main_param_group, parameter_groups, split_groups


class SlowBackbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def lr_scale(self, parameter_name: str) -> float:
        return 0.1 if parameter_name.startswith("backbone") else 1.0


def identities(parameters) -> list[int]:
    return [id(p) for p in parameters]


def test_equal_settings_give_the_parameters_in_model_order(net):
    model = net()
    model[0].weight.requires_grad_(False)
    assert identities(parameter_groups(model, lr=0.1, weight_decay=0.5)) == identities(model.parameters())


def test_norm_layers_biases_and_other_1d_parameters_get_no_weight_decay():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.LayerNorm([2, 2, 2]), nn.Flatten(), nn.Linear(8, 2))
    groups = parameter_groups(model, lr=0.1, weight_decay=0.5, no_decay_norm_bias=True)
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in model.named_parameters()} == {
        "0.weight": 0.5,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "2.weight": 0.0,  # 3-D, but of a norm layer
        "2.bias": 0.0,
        "4.weight": 0.5,
        "4.bias": 0.0,
    }


def test_the_model_scales_learning_rates():
    model = SlowBackbone()
    groups = parameter_groups(model, lr=0.5, weight_decay=0.2)
    assert {group["lr"]: identities(group["params"]) for group in groups} == {
        0.05: identities(model.backbone.parameters()),
        0.5: identities(model.head.parameters()),
    }
    assert all("weight_decay" not in group for group in groups)  # the optimizer's default


def test_scales_and_exemptions_combine():
    groups = parameter_groups(SlowBackbone(), lr=0.5, weight_decay=0.2, no_decay_norm_bias=True)
    assert sorted((group["lr"], group["weight_decay"]) for group in groups) == [
        (0.05, 0.0),
        (0.05, 0.2),
        (0.5, 0.0),
        (0.5, 0.2),
    ]


def test_splitting_keeps_settings_and_drops_empty_groups():
    model = SlowBackbone()
    groups = parameter_groups(model, lr=0.5)
    chosen, others = split_groups(groups, {id(model.head.weight)})
    assert [(group["lr"], identities(group["params"])) for group in chosen] == [(0.5, [id(model.head.weight)])]
    assert [(group["lr"], len(group["params"])) for group in others] == [(0.05, 2), (0.5, 1)]


def test_splitting_plain_parameters(net):
    parameters = list(net().parameters())
    chosen, others = split_groups(parameters, {id(parameters[2])})
    assert identities(chosen) == [id(parameters[2])]
    assert identities(others) == identities(parameters[:2] + parameters[3:])


def test_the_main_group_has_the_learning_rate_of_the_setting():
    optimizer = torch.optim.SGD(parameter_groups(SlowBackbone(), lr=0.5), lr=0.5)
    assert main_param_group(optimizer) == 1
    for group in optimizer.param_groups:  # a schedule changes `lr` and keeps the initial one
        group["initial_lr"], group["lr"] = group["lr"], 0.5 if group["lr"] == 0.05 else 0.05
    assert main_param_group(optimizer) == 1
