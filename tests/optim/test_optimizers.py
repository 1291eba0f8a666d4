from __future__ import annotations

import copy
import inspect
import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ptrun.errors import ConfigError
from ptrun.optim.optimizers import build_optimizer, needs_closure, parameter_groups
from ptrun.registry import optimizers

SWITCHES = {"foreach", "fused", "capturable", "differentiable", "maximize", "params", "self"}
CLASSES = {
    name.lower(): cls
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
}
ORDINARY = sorted(set(optimizers) - {"muon", "sparse_adam", "lbfgs"})


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        inputs, targets = torch.randn(8, 4, generator=generator), torch.randint(0, 3, (8,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


def equal(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_every_optimizer_of_torch_is_there_with_every_setting() -> None:
    assert {name.replace("_", "") for name in optimizers} == set(CLASSES)
    for name in optimizers:
        parameters = inspect.signature(CLASSES[name.replace("_", "")].__init__).parameters
        mine = optimizers.keywords(name)
        assert set(mine) - {"no_decay_norm_bias", "adamw_lr"} == set(parameters) - SWITCHES, name
        for key in set(mine) & set(parameters) - {"lr"}:
            assert mine[key].default == parameters[key].default, (name, key)
        assert ("no_decay_norm_bias" in mine) == ("weight_decay" in mine)


@pytest.mark.parametrize("name", ORDINARY)
def test_training_equals_plain_torch_bit_for_bit(name: str) -> None:
    mine, plain = net(), net()
    reference = CLASSES[name.replace("_", "")](plain.parameters(), lr=0.02)
    assert equal(train(mine, build_optimizer(name, {"lr": 0.02}, mine)), train(plain, reference))


def test_settings_reach_torch_and_lists_become_tuples() -> None:
    mine, plain = net(), net()
    optimizer = build_optimizer("adamw", {"lr": 0.01, "betas": [0.8, 0.9], "weight_decay": 0.3, "amsgrad": True}, mine)
    reference = torch.optim.AdamW(plain.parameters(), lr=0.01, betas=(0.8, 0.9), weight_decay=0.3, amsgrad=True)
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert equal(train(mine, optimizer), train(plain, reference))


def test_no_decay_for_norms_and_biases() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.LayerNorm([2, 2, 2]), nn.Flatten(), nn.Linear(8, 2))
    optimizer = build_optimizer("sgd", {"lr": 0.1, "weight_decay": 0.5, "no_decay_norm_bias": True}, model)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    by_name = {name: decay[id(p)] for name, p in model.named_parameters()}
    assert by_name == {
        "0.weight": 0.5,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "2.weight": 0.0,  # 3-D, but of a norm layer
        "2.bias": 0.0,
        "4.weight": 0.5,
        "4.bias": 0.0,
    }


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x))

    def lr_scale(self, parameter_name: str) -> float:
        return 0.1 if parameter_name.startswith("backbone") else 1.0


def test_the_model_scales_learning_rates() -> None:
    model = Scaled()
    optimizer = build_optimizer("sgd", {"lr": 0.5, "weight_decay": 0.2}, model)
    groups = {group["lr"]: [id(p) for p in group["params"]] for group in optimizer.param_groups}
    assert groups == {
        0.05: [id(p) for p in model.backbone.parameters()],
        0.5: [id(p) for p in model.head.parameters()],
    }
    assert all(group["weight_decay"] == 0.2 for group in optimizer.param_groups)
    crossed = build_optimizer("sgd", {"lr": 0.5, "weight_decay": 0.2, "no_decay_norm_bias": True}, model)
    assert sorted((g["lr"], g["weight_decay"]) for g in crossed.param_groups) == [
        (0.05, 0.0),
        (0.05, 0.2),
        (0.5, 0.0),
        (0.5, 0.2),
    ]


def test_without_special_wishes_there_is_one_plain_group_in_model_order() -> None:
    model = net()
    model[0].weight.requires_grad_(False)
    assert [id(p) for p in parameter_groups(model, lr=0.1)] == [id(p) for p in model.parameters()]
    optimizer = build_optimizer("sgd", {}, model)
    assert len(optimizer.param_groups) == 1
    before = model[0].weight.clone()
    train(model, optimizer)
    assert torch.equal(model[0].weight, before)


def test_muon_trains_matrices_and_adamw_the_rest() -> None:
    mine, plain = net(), net()
    optimizer = build_optimizer("muon", {"lr": 0.03, "adamw_lr": 0.004, "weight_decay": 0.05}, mine)
    matrices = [p for p in plain.parameters() if p.dim() == 2]
    others = [p for p in plain.parameters() if p.dim() != 2]
    muon = torch.optim.Muon(matrices, lr=0.03, weight_decay=0.05)
    adamw = torch.optim.AdamW(others, lr=0.004, weight_decay=0.05)
    trained = train(mine, optimizer)
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        inputs, targets = torch.randn(8, 4, generator=generator), torch.randint(0, 3, (8,), generator=generator)
        plain.zero_grad()
        F.cross_entropy(plain(inputs), targets).backward()
        muon.step()
        adamw.step()
    assert equal(trained, [p.detach() for p in plain.parameters()])


def test_muon_scales_the_learning_rates_of_both_parts() -> None:
    optimizer = build_optimizer("muon", {"lr": 0.02, "adamw_lr": 0.001}, Scaled())
    assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx([0.0001, 0.001, 0.002, 0.02])


@pytest.mark.parametrize("name", [*ORDINARY, "muon"])
def test_saved_and_restored_state_continues_bit_for_bit(name: str) -> None:
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
    assert equal(train(model, optimizer), train(other, restored))


def test_learning_rates_of_companions_are_set_through_their_groups() -> None:
    model = net()
    optimizer = build_optimizer("muon", {}, model)
    optimizer.load_state_dict(optimizer.state_dict())
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [p.detach().clone() for p in model.parameters()]
    assert equal(train(model, optimizer, steps=1), before)


def test_a_closure_is_called_once_for_both_companions() -> None:
    model = net()
    optimizer = build_optimizer("muon", {}, model)
    calls = []

    def closure() -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        loss = model(torch.ones(2, 4)).sum()
        loss.backward()
        return loss

    assert isinstance(optimizer.step(closure), torch.Tensor)
    assert calls == [True]


def test_lbfgs_needs_a_closure_and_takes_one_learning_rate() -> None:
    model = nn.Linear(4, 1)
    optimizer = build_optimizer("lbfgs", {"line_search_fn": "strong_wolfe"}, model)
    assert needs_closure(optimizer)
    assert not needs_closure(build_optimizer("sgd", {}, model))
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
    with pytest.raises(ConfigError, match="one learning rate only"):
        build_optimizer("lbfgs", {}, Scaled())


def test_sparse_adam_takes_sparse_embeddings_and_adam_the_rest() -> None:
    model = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.Linear(4, 2))
    optimizer = build_optimizer("sparse_adam", {"lr": 0.1}, model)
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.tensor([1, 2])).sum().backward()
    optimizer.step()
    changed = (model[0].weight != before[0]).any(1)
    assert changed.nonzero().flatten().tolist() == [1, 2]
    assert not torch.equal(model[1].weight, before[1])
    with pytest.raises(ConfigError, match="Use optimizer=adam instead"):
        build_optimizer("sparse_adam", {}, net())


def test_mistakes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.momentun: .*Did you mean 'momentum'"):
        build_optimizer("sgd", {"momentun": 0.9}, net())
    with pytest.raises(ConfigError, match=r"torch\.optim\.SGD refuses its settings: Nesterov momentum requires"):
        build_optimizer("sgd", {"nesterov": True}, net())
    with pytest.raises(ConfigError, match="no parameters, so there is nothing for 'sgd' to train"):
        build_optimizer("sgd", {}, nn.ReLU())
    with pytest.raises(ConfigError, match="'muon' trains 2-D weights, of which this model has none"):
        build_optimizer("muon", {}, nn.LayerNorm(4))
    monkeypatch.delattr(torch.optim, "Adafactor")
    with pytest.raises(ConfigError, match=r"has no torch\.optim\.Adafactor\. Install a newer torch"):
        build_optimizer("adafactor", {}, net())
