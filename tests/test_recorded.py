"""device.compile=step changes the time of a step and not one bit of its result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ptrun
from ptrun import checkpoint

OWN = """
import torch
from torch import nn
from ptrun.registry import models

class Branching(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(64, spec.num_outputs)
    def forward(self, inputs):
        outputs = self.layer(inputs.flatten(1))
        return outputs if outputs.sum() > 0 else outputs * 2

@models.register
def branching(spec):
    return Branching(spec)
"""


def trained(*overrides: str, compile: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    result = ptrun.train(*overrides, f"device.compile={compile}", "train.epochs=2", "train.batch_size=100", quiet=True)
    decisions = json.loads((result.run_dir / "receipt.json").read_text())["decisions"]
    weights = checkpoint.load(result.run_dir / "checkpoints" / "last.pt")["model"]
    return weights, {each["setting"]: each["used"] for each in decisions}


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=simplenet",),
        ("model=convnet", "model.dropout=0.3"),
        ("model=regularized", "train.grad_accumulation=3", "train.clip_norm=0.5"),
        ("model=attention", "train.ema_decay=0.9"),
        ("dataset=diabetes", "optimizer=sgd", "optimizer.lr=0.01"),
        ("model=convnet", "device.precision=bf16"),
    ],
)
def test_a_recorded_step_equals_autograd_bit_for_bit(folder: Path, overrides: tuple[str, ...]):
    eager, _ = trained(*overrides, compile="none")
    recorded, decisions = trained(*overrides, compile="step")
    assert "device.compile" not in decisions, "it should be recordable"
    assert all(torch.equal(recorded[name], value) for name, value in eager.items())


def test_a_model_that_looks_at_values_is_trained_without_and_that_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "own.py").write_text(OWN, encoding="utf-8")
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "model" / "branching.yaml").write_text("# A model with a branch.\nname: branching\n")
    eager, _ = trained("plugins=[own.py]", "model=branching", compile="none")
    fallen_back, decisions = trained("plugins=[own.py]", "model=branching", compile="step")
    assert decisions["device.compile"].startswith("none, because the step can't be recorded")
    assert all(torch.equal(fallen_back[name], value) for name, value in eager.items())
    assert "can't be recorded" in capsys.readouterr().err
