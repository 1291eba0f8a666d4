"""`fused_step` computes what torch's own `step` with fused kernels computes, with the optimizer's own state."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from torch.optim import optimizer as torch_optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from ptrun.optim import fused_step as module
from ptrun.optim.fused_step import fused_step, unwrapped_step, use_fused
from ptrun.optim.optimizers import build_optimizer

KINDS: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "nesterov": True}),
    (Adam, {"lr": 0.01}),
    (Adam, {"lr": 0.01, "amsgrad": True}),
    (AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    (Adagrad, {"lr": 0.1, "lr_decay": 0.01}),
]


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def gradients(model: nn.Module, step: int) -> None:
    model.zero_grad()
    generator = torch.Generator().manual_seed(step)
    inputs, targets = torch.randn(8, 8, generator=generator), torch.randint(0, 3, (8,), generator=generator)
    F.cross_entropy(model(inputs), targets).backward()


def plain(model: nn.Module, optimizer: Optimizer, steps: range) -> None:
    for step in steps:
        gradients(model, step)
        optimizer.step()
        optimizer.zero_grad()


def fused(model: nn.Module, optimizer: Optimizer, steps: range) -> None:
    take_step = fused_step(optimizer)
    for step in steps:
        gradients(model, step)
        take_step()
        model.zero_grad()


def assert_equal(a: nn.Module, b: nn.Module) -> None:
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_it_equals_torch_bit_for_bit_and_continues_from_its_state(kind: type[Optimizer], settings: dict[str, Any]):
    model, reference = net(), net()
    ours, theirs = kind(model.parameters(), **settings), kind(reference.parameters(), fused=True, **settings)
    assert use_fused(ours, model)
    plain(reference, theirs, range(9))
    fused(model, ours, range(3))
    fused(model, ours, range(3, 6))  # an epoch that begins with a state
    saved = copy.deepcopy(ours.state_dict())
    assert saved["state"].keys() == theirs.state_dict()["state"].keys()
    again = kind(model.parameters(), **settings)
    again.load_state_dict(saved)
    fused(model, again, range(6, 9))
    assert_equal(model, reference)


def test_the_learning_rate_may_change_between_steps():
    model, reference = net(), net()
    ours, theirs = AdamW(model.parameters(), lr=0.01), AdamW(reference.parameters(), lr=0.01, fused=True)
    use_fused(ours, model)
    take_step = fused_step(ours)
    for step, rate in enumerate((0.01, 0.02, 0.003)):
        ours.param_groups[0]["lr"] = theirs.param_groups[0]["lr"] = rate
        gradients(model, step)
        take_step()
        plain(reference, theirs, range(step, step + 1))
    assert_equal(model, reference)


def test_a_parameter_without_gradient_keeps_its_value_until_it_has_one():
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.both = nn.ModuleList([nn.Linear(8, 3), nn.Linear(8, 3)])
            self.calls = 0

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            outputs: torch.Tensor = self.both[self.calls % 2](inputs)
            return outputs

    model, reference = Branches(), Branches()
    ours, theirs = AdamW(model.parameters(), lr=0.01), AdamW(reference.parameters(), lr=0.01, fused=True)
    use_fused(ours, model)
    fused(model, ours, range(7))
    plain(reference, theirs, range(7))
    assert_equal(model, reference)


def callers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that call the AdamW kernel from now on."""
    kernel, files = torch._fused_adamw_, []

    def noting(*arguments: Any, **settings: Any) -> None:
        files.append(Path(sys._getframe(1).f_code.co_filename).name)
        kernel(*arguments, **settings)

    monkeypatch.setattr(torch, "_fused_adamw_", noting)
    return files


def test_the_first_step_is_torchs_own_and_the_others_call_the_kernel_directly(monkeypatch: pytest.MonkeyPatch):
    files, model = callers(monkeypatch), net()
    optimizer = AdamW(model.parameters())
    use_fused(optimizer, model)
    fused(model, optimizer, range(3))
    assert files == ["adam.py", "fused_step.py", "fused_step.py"]


@pytest.mark.parametrize("name", module._KERNELS)
def test_torch_has_the_kernels(name: str):
    assert callable(getattr(torch, name))


@pytest.mark.parametrize("missing", ["_fused_adamw_", "_foreach_add_"])
def test_where_a_kernel_is_missing_the_step_is_torchs_own(missing: str, monkeypatch: pytest.MonkeyPatch):
    files, model, reference = callers(monkeypatch), net(), net()
    ours, theirs = AdamW(model.parameters()), AdamW(reference.parameters(), fused=True)
    use_fused(ours, model)
    with monkeypatch.context() as older_torch:
        older_torch.delattr(torch, missing)
        take_step = fused_step(ours)
    for step in range(3):
        gradients(model, step)
        take_step()
    plain(reference, theirs, range(3))
    assert set(files) == {"adam.py"}
    assert_equal(model, reference)


def test_hooks_of_an_optimizer_are_called():
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    use_fused(optimizer, model)
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    fused(model, optimizer, range(3))
    assert len(calls) == 3


def test_hooks_of_all_optimizers_are_called():
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    use_fused(optimizer, model)
    calls = []
    hook = register_optimizer_step_post_hook(lambda *_: calls.append(1))
    try:
        fused(model, optimizer, range(3))
    finally:
        hook.remove()
    assert len(calls) == 3


def test_hooks_of_a_combined_optimizer_are_called():
    model = net()
    optimizer = build_optimizer("muon", {}, model)
    use_fused(optimizer, model)
    calls = []
    optimizer.register_step_pre_hook(lambda *_: calls.append(1))
    fused(model, optimizer, range(3))
    assert len(calls) == 3


def test_where_torch_hides_its_hooks_the_step_is_torchs_own(monkeypatch: pytest.MonkeyPatch):
    files, model = callers(monkeypatch), net()
    optimizer = AdamW(model.parameters())
    use_fused(optimizer, model)
    with monkeypatch.context() as newer_torch:
        newer_torch.delattr(torch_optimizer, "_global_optimizer_post_hooks")
        take_step = fused_step(optimizer)
    for step in range(3):
        gradients(model, step)
        take_step()
    assert set(files) == {"adam.py"}


def test_torch_has_the_hooks():
    optimizer = SGD(net().parameters())
    for when in ("pre", "post"):
        assert len(getattr(optimizer, f"_optimizer_step_{when}_hooks")) == 0
        assert len(getattr(torch_optimizer, f"_global_optimizer_{when}_hooks")) == 0


def test_an_optimizer_of_somebody_else_keeps_its_own_step():
    class Own(SGD):
        pass

    optimizer = Own(net().parameters(), lr=0.1)
    assert unwrapped_step(optimizer) == optimizer.step


def test_tensors_of_two_kinds_in_one_group_are_left_to_torch():
    model, reference = net(), net()
    for each in (model, reference):
        each[2].double()
        each[1] = Widen()
    ours, theirs = AdamW(model.parameters(), lr=0.01), AdamW(reference.parameters(), lr=0.01, fused=True)
    use_fused(ours, model)
    fused(model, ours, range(4))
    plain(reference, theirs, range(4))
    assert_equal(model, reference)


class Widen(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.double()


def test_what_has_no_fused_kernel_is_left_to_torch():
    model, reference = net(), net()
    ours, theirs = RMSprop(model.parameters()), RMSprop(reference.parameters())
    assert not use_fused(ours, model)
    fused(model, ours, range(5))
    plain(reference, theirs, range(5))
    assert_equal(model, reference)


def test_two_optimizers_in_one_step_alike():
    model, reference = net(), net()
    settings = {"lr": 0.02, "weight_decay": 0.1, "adamw_lr": 0.01}
    ours, theirs = build_optimizer("muon", settings, model), build_optimizer("muon", settings, reference)
    assert use_fused(ours, model)
    assert use_fused(theirs, reference)
    fused(model, ours, range(5))
    plain(reference, theirs, range(5))
    assert_equal(model, reference)
