from __future__ import annotations

import torch
from torch import nn

from ptrun.optim.combined_optimizer import CombinedOptimizer


def combined(model: nn.Module) -> CombinedOptimizer:
    weight, bias = model.parameters()
    return CombinedOptimizer(torch.optim.SGD([weight], lr=0.1, momentum=0.9), torch.optim.AdamW([bias], lr=0.01))


def take_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    model.zero_grad()
    model(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


def test_groups_and_state_are_shared_with_the_members():
    model = nn.Linear(4, 1)
    optimizer = combined(model)
    take_step(model, optimizer)
    for attempt in range(2):
        assert [id(group) for member in optimizer.members for group in member.param_groups] == [
            id(group) for group in optimizer.param_groups
        ]
        assert all(member.state is optimizer.state for member in optimizer.members), attempt
        optimizer.load_state_dict(optimizer.state_dict())
    assert set(optimizer.state) == set(model.parameters())


def test_learning_rates_are_set_through_the_groups_also_after_loading_a_state():
    model = nn.Linear(4, 1)
    optimizer = combined(model)
    optimizer.load_state_dict(optimizer.state_dict())
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [p.detach().clone() for p in model.parameters()]
    assert all(map(torch.equal, take_step(model, optimizer), before))


def test_a_closure_is_called_once_with_gradients_enabled():
    model = nn.Linear(4, 1)
    optimizer = combined(model)
    calls = []

    def closure() -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        loss = model(torch.ones(2, 4)).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert isinstance(optimizer.step(closure), torch.Tensor)
    assert calls == [True]
