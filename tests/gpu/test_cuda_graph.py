"""A CUDA graph of the step gives the bits of autograd; a run that can't have one trains without and says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cuda_runs import CUDA, OPTIMIZERS, Weights, decision, different, weights
from support import build_run, train

from ptrun.build.run import Run
from ptrun.engine.capture.cuda_graph import GraphedStep
from ptrun.engine.context import TrainContext
from ptrun.engine.step import PlainStep

pytestmark = pytest.mark.gpu
OWN = """
import torch
from torch import nn
from ptrun.registry import models

class Own(nn.Module):
    def __init__(self, spec, kind):
        super().__init__()
        self.layer, self.kind = nn.Linear(64, spec.num_outputs), kind
    def forward(self, inputs):
        outputs = self.layer(inputs.flatten(1))
        if self.kind == "branch" and outputs.sum() > 0:
            outputs = outputs * 2
        if self.kind == "cpu":
            outputs = outputs * torch.rand(1).to(outputs.device)
        if self.kind == "wait":
            torch.cuda.synchronize()
        return nn.functional.dropout(outputs, 0.1, self.training)

@models.register
def own(spec, *, kind: str = "plain"):
    return Own(spec, kind)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One file for all tests, because a name can be registered once."""
    path = tmp_path_factory.mktemp("plugin") / "own.py"
    path.write_text(OWN)
    return f"plugins=[{path}]"


def trained(*overrides: str, compile: str) -> tuple[Weights, str | None]:
    """The weights after two epochs, whose last batch is smaller, and the decision on device.compile, if any."""
    settings = (*CUDA, "train.epochs=2", "train.batch_size=100", *overrides, f"device.compile={compile}")
    run_dir = train(*settings, quiet=True).run_dir
    return weights(run_dir), decision(run_dir, "device.compile")


CASES = [
    ("model=simplenet",),
    ("model=convnet", "model.dropout=0.3"),
    ("model=convnet", "device.precision=bf16"),
    ("model=convnet", "device.channels_last=true", "device.fused=false"),
    ("model=regularized", "train.grad_accumulation=3", "train.clip_norm=0.5"),
    ("model=attention", "train.ema_decay=0.9"),
    ("model=transformer",),
    ("model=cifar_net", "optimizer=sgd", "optimizer.lr=0.1"),
    ("model=resnet_cifar", "model.depth=8", "optimizer=sgd", "optimizer.lr=0.05"),
    ("model=simplenet", "train.on_nonfinite=skip"),
    ("model=convnet", "train.on_oom=halve"),
    ("dataset=diabetes", "optimizer=sgd", "optimizer.lr=0.01"),
    ("dataset=series", "model=lstm", "train.batch_size=500"),
    ("transform=augment", "train.drop_last=true"),
    ("model=transfer", "model.arch=mobilenet_v3_small", "model.weights=null", "model.unfreeze_at_epoch=1"),
]  # fmt: skip


@pytest.mark.parametrize("overrides", CASES, ids=" ".join)
def test_a_graph_equals_autograd_bit_for_bit(folder: Path, overrides: tuple[str, ...]):
    eager, _ = trained(*overrides, compile="none")
    graphed, decided = trained(*overrides, compile="step")
    assert decided is None, "it should be a graph"
    assert different(graphed, eager) == []


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_takes_the_gradients_of_a_graph(folder: Path, optimizer: str):
    settings = ("model=simplenet", f"optimizer={optimizer}", "train.grad_accumulation=2", "train.max_steps=4")
    eager, _ = trained(*settings, compile="none")
    graphed, decided = trained(*settings, compile="step")
    assert decided is None
    assert different(graphed, eager) == []


def cuda_run(*overrides: str) -> Run:
    return build_run(*CUDA, *overrides)


def graphed_step(ctx: TrainContext) -> GraphedStep:
    assert isinstance(ctx.step, PlainStep)
    assert isinstance(ctx.step.gradients, GraphedStep)
    return ctx.step.gradients


def test_by_default_small_models_are_graphs_and_every_batch_size_is_captured_before_the_first_step(folder: Path):
    run = cuda_run("model=simplenet", "train.batch_size=100")
    assert ("device.compile", "auto", "step") in run.decisions
    assert {shapes[0][0] for shapes in graphed_step(run.ctx).shapes} == {100, 59}


def test_trying_it_out_leaves_no_trace(folder: Path):
    runs = [cuda_run("model=regularized", f"device.compile={compile}") for compile in ("none", "step")]
    states = [run.ctx.model.state_dict() for run in runs]
    assert different(*states) == []
    assert all(p.grad is None for p in runs[1].ctx.model.parameters())


def test_gradients_of_a_step_add_up_and_losses_stay_what_they_were(folder: Path):
    settings = ("model=simplenet", "model.hidden_features=[]", "train.batch_size=100", "device.compile=step")
    ctx = cuda_run(*settings).ctx
    step, batches = graphed_step(ctx), list(ctx.train.epoch(0))[:3]
    with step.epoch():
        losses = [step(batch.inputs, batch.targets, 1 / 3) for batch in batches]
    summed = [p.grad.clone() for p in ctx.model.parameters() if p.grad is not None]
    ctx.model.zero_grad()
    expected = [ctx.loss(ctx.model(batch.inputs), batch.targets) for batch in batches]
    for loss in expected:
        (loss * (1 / 3)).backward()
    assert [loss.item() for loss in losses] == [loss.item() for loss in expected]
    assert all(map(torch.equal, summed, [p.grad for p in ctx.model.parameters() if p.grad is not None]))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("branch", "looks at the values"),
        ("cpu", "works on the CPU as well"),
        ("wait", "capturing"),  # the capture itself fails
    ],
)
def test_a_step_that_no_graph_can_hold_is_trained_without_and_the_run_says_why(
    folder: Path, plugin: str, kind: str, reason: str
):
    settings = (plugin, "model=own", f"model.kind={kind}")
    eager, _ = trained(*settings, compile="none")
    fallen_back, decided = trained(*settings, compile="step")
    assert decided is not None
    assert reason in decided
    assert different(fallen_back, eager) == []


def test_a_model_of_a_plugin_is_a_graph_only_on_request(folder: Path, plugin: str):
    by_default = trained(plugin, "model=own", compile="auto")[1]
    assert by_default is not None
    assert "'Own' may do something else at each call" in by_default
    assert trained(plugin, "model=own", compile="step")[1] is None
