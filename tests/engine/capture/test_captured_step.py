"""A captured step takes less time and gives equal bits; by default small models of trusted packages are captured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from support import train

from ptrun.build import run
from ptrun.checkpoint import store
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.engine.capture.captured_step import CapturedStep
from ptrun.engine.step import Autograd, PlainStep

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
    result = train(*overrides, f"device.compile={compile}", "train.epochs=2", "train.batch_size=100", quiet=True)
    decisions = json.loads((result.run_dir / "receipt.json").read_text())["decisions"]
    weights = store.load(result.run_dir / "checkpoints" / "last.pt")["model"]
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
        ("dataset=iris", "model=resnet_table"),  # indexes by whole numbers, which looks at no value
    ],
)
def test_a_recorded_step_equals_autograd_bit_for_bit(folder: Path, overrides: tuple[str, ...]):
    eager, _ = trained(*overrides, compile="none")
    recorded, decisions = trained(*overrides, compile="step")
    assert "device.compile" not in decisions, "it should be recordable"
    assert all(torch.equal(recorded[name], value) for name, value in eager.items())


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=simplenet",),
        ("dataset=diabetes",),
        ("model=regularized", "loss=cross_entropy", "loss.label_smoothing=0.1"),
    ],
)
def test_small_models_of_known_parts_are_recorded_unasked(folder: Path, overrides: tuple[str, ...]):
    eager, _ = trained(*overrides, compile="none")
    recorded, decisions = trained(*overrides, compile="auto")
    assert decisions["device.compile"] == "step"
    assert all(torch.equal(recorded[name], value) for name, value in eager.items())


def test_every_size_of_batch_is_recorded_before_the_first_step(folder: Path):
    x = parts("model=simplenet", "train.batch_size=100").ctx
    assert isinstance(x.step, PlainStep)
    assert isinstance(x.step.gradients, CapturedStep)
    sizes = {x.train.sampler.size(position) for position in range(len(x.train.sampler))}
    assert {shapes[0][0] for shapes in x.step.gradients.shapes} == sizes == {100, 59}


def parts(*overrides: str) -> run.Run:
    return run.build(auto.resolve_auto(load.load_config(Composer(), overrides).config)[0])


def test_a_large_model_is_not_recorded_unasked(folder: Path):
    run = parts("model=convnet", "model.channels=[64,128]", "train.batch_size=512")
    assert isinstance(run.ctx.step, PlainStep)
    assert isinstance(run.ctx.step.gradients, Autograd)
    assert ("device.compile", "auto", "none") in run.decisions


@pytest.mark.parametrize(("compile", "warned"), [("auto", False), ("step", True)])
def test_hooks_that_somebody_registered_are_called(
    folder: Path, compile: str, warned: bool, capsys: pytest.CaptureFixture[str]
):
    (folder / "count.py").write_text(
        "from torch.nn.modules.module import register_module_forward_pre_hook as register\n"
        "calls = []\nhandle = register(lambda module, inputs: calls.append(module.training))\n"
    )
    try:
        _, decisions = trained("model=simplenet", "plugins=[count.py]", compile=compile)
        [plugin] = [module for name, module in sys.modules.items() if name.startswith("ptrun_plugin_count")]
        assert plugin.calls.count(True) >= 2 * 13 * 4  # epochs, steps, modules
    finally:
        plugin.handle.remove()
        del sys.modules[plugin.__name__]
    assert "would not call the hooks" in decisions["device.compile"]
    assert ("would not call the hooks" in capsys.readouterr().err) == warned


def test_a_model_of_ones_own_is_recorded_only_when_that_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "own.py").write_text(
        OWN.replace(" if outputs.sum() > 0 else outputs * 2", "").replace("branching", "straight"), encoding="utf-8"
    )
    used = {
        how: trained("plugins=[own.py]", "model=straight", compile=how)[1].get("device.compile")
        for how in ("auto", "step")
    }
    assert used["auto"].startswith("none, because the step can't be recorded: 'Branching' may do something else")
    assert used["step"] is None
    assert "device.compile" not in capsys.readouterr().err


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
