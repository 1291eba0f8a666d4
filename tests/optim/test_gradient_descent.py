from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ptrun.errors import ConfigError
from ptrun.optim import gradient_descent
from ptrun.optim.combined_optimizer import CombinedOptimizer
from ptrun.optim.optimizers import build_optimizer


class SlowBackbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def lr_scale(self, parameter_name: str) -> float:
        return 0.1 if parameter_name.startswith("backbone") else 1.0


@pytest.mark.parametrize(
    ("function", "of_torch", "settings"),
    [
        (gradient_descent.sgd, torch.optim.SGD, {"lr": 0.1}),
        (gradient_descent.sgd, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
        (gradient_descent.sgd, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (
            gradient_descent.asgd,
            torch.optim.ASGD,
            {"lr": 0.1, "lambd": 0.1, "alpha": 0.6, "t0": 2.0, "weight_decay": 0.1},
        ),
        (gradient_descent.rprop, torch.optim.Rprop, {"lr": 0.02, "etas": (0.6, 1.3), "step_sizes": (1e-5, 0.01)}),
    ],
)
def test_every_setting_reaches_torch_and_training_is_equal_bit_for_bit(function, of_torch, settings, net, train):
    model, reference = net(), net()
    ours, theirs = function(model, **settings), of_torch(reference.parameters(), **settings)
    assert ours.defaults == theirs.defaults
    assert all(map(torch.equal, train(model, ours), train(reference, theirs)))


def test_muon_trains_matrices_and_adamw_the_rest(net, train):
    model, reference = net(), net()
    settings = {"weight_decay": 0.05, "momentum": 0.9, "nesterov": False, "ns_steps": 4, "eps": 1e-6}
    choices = {"ns_coefficients": (3.0, -4.0, 2.0), "adjust_lr_fn": "match_rms_adamw"}
    optimizer = gradient_descent.muon(model, lr=0.03, adamw_lr=0.004, **settings, **choices)
    matrices = [p for p in reference.parameters() if p.dim() == 2]
    others = [p for p in reference.parameters() if p.dim() != 2]
    muon = torch.optim.Muon(matrices, lr=0.03, **settings, **choices)
    adamw = torch.optim.AdamW(others, lr=0.004, weight_decay=0.05)
    assert isinstance(optimizer, CombinedOptimizer)
    assert optimizer.members[0].defaults == muon.defaults
    assert all(map(torch.equal, train(model, optimizer), train(reference, muon, adamw)))


def test_muon_scales_the_learning_rates_of_both_parts():
    optimizer = build_optimizer("muon", {"lr": 0.02, "adamw_lr": 0.001}, SlowBackbone())
    assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx([0.0001, 0.001, 0.002, 0.02])


def test_muon_alone_where_all_parameters_are_matrices():
    assert type(build_optimizer("muon", {}, nn.Linear(4, 3, bias=False))) is torch.optim.Muon


def test_muon_refuses_a_model_without_matrices():
    with pytest.raises(ConfigError, match="'muon' trains 2-D weights, but this model has none"):
        build_optimizer("muon", {}, nn.LayerNorm(4))


def test_lbfgs_solves_least_squares():
    settings = {"line_search_fn": "strong_wolfe", "lr": 0.9, "max_iter": 15, "history_size": 50, "max_eval": 30}
    model = nn.Linear(4, 1)
    optimizer = build_optimizer("lbfgs", settings, model)
    assert optimizer.param_groups[0].items() >= settings.items()
    inputs, targets = torch.randn(32, 4), torch.randn(32, 1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(inputs), targets)
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    best = torch.linalg.lstsq(torch.cat([inputs, torch.ones(32, 1)], 1), targets).solution
    assert model.weight.flatten().tolist() == pytest.approx(best[:4, 0].tolist(), abs=1e-3)


def test_lbfgs_refuses_several_learning_rates():
    with pytest.raises(ConfigError, match="one learning rate for all parameters"):
        build_optimizer("lbfgs", {}, SlowBackbone())
