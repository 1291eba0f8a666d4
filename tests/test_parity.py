"""Plain torch inside: `ptrun train` computes, bit for bit, what the tutorial loop computes from the same batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import train
from torch import nn

from ptrun import registry
from ptrun.build import run
from ptrun.checkpoint import store
from ptrun.config import auto, load
from ptrun.config.compose import Composer

TUTORIAL = {
    "sgd": lambda parameters, **kernel: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, **kernel),
    "adam": lambda parameters, **kernel: torch.optim.Adam(parameters, lr=0.002, **kernel),
    "adamw": lambda parameters, **kernel: torch.optim.AdamW(parameters, lr=0.002, weight_decay=0.01, **kernel),
}
SETTINGS = {
    "sgd": ("optimizer=sgd", "optimizer.lr=0.05", "optimizer.momentum=0.9"),
    "adam": ("optimizer=adam", "optimizer.lr=0.002"),
    "adamw": ("optimizer=adamw", "optimizer.lr=0.002", "optimizer.weight_decay=0.01"),
}


def tutorial(
    model: nn.Module, optimizer: torch.optim.Optimizer, epochs: list[list[tuple[torch.Tensor, torch.Tensor]]]
) -> None:
    """The loop of every introduction to PyTorch."""
    loss_fn = nn.CrossEntropyLoss()
    model.train()
    for batches in epochs:
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            optimizer.step()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("optimizer", TUTORIAL)
@pytest.mark.parametrize("model", ["simplenet", "convnet"])
def test_parameters_equal_those_of_the_tutorial_loop(folder: Path, model: str, optimizer: str, fused: bool):
    overrides = [
        f"model={model}",
        *SETTINGS[optimizer],
        "scheduler=none",
        "train.epochs=3",
        "train.batch_size=64",
        "seed=7",
        f"device.fused={str(fused).lower()}",
    ]
    result = train(*overrides, quiet=True)
    trained = store.load(result.run_dir / "checkpoints" / "last.pt")["model"]

    config = load.load_config(Composer(), overrides).config
    parts = run.build(auto.resolve_auto(config)[0])
    epochs = [[(b.inputs, b.targets) for b in parts.ctx.train.epoch(epoch)] for epoch in range(3)]
    torch.manual_seed(7)
    plain = registry.models.build(model, config.model.settings, parts.prepared.spec)
    if model == "convnet":  # as device.channels_last=auto decides on a CPU
        plain = plain.to(memory_format=torch.channels_last)
        epochs = [[(x.contiguous(memory_format=torch.channels_last), y) for x, y in epoch] for epoch in epochs]
    tutorial(plain, TUTORIAL[optimizer](plain.parameters(), **({"fused": True} if fused else {})), epochs)

    assert trained.keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        assert torch.equal(trained[name], value), name


def test_validation_and_checkpoints_change_nothing(folder: Path):
    common = ["model=convnet", "train.epochs=2", "model.dropout=0.5"]
    often = train(*common, quiet=True)
    rarely = train(*common, "train.val_every_epochs=2", "checkpoint.every_epochs=2", quiet=True)
    states = [store.load(r.run_dir / "checkpoints" / "last.pt")["model"] for r in (often, rarely)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_seed_decides_everything(folder: Path):
    first, again, other = (train(f"seed={seed}", "train.epochs=1", quiet=True) for seed in (1, 1, 2))
    states = [store.load(r.run_dir / "checkpoints" / "last.pt")["model"] for r in (first, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])
