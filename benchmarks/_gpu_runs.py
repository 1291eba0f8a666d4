"""Runs of ptrun for gpu.py: weights of a run, of the tutorial loop on the same batches, and of a run that stopped."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import _run
import torch
from torch import Tensor, nn

import ptrun
from ptrun import registry
from ptrun.checkpoint import state, store
from ptrun.engine.hooks import Hooks
from ptrun.engine.loop import fit
from ptrun.engine.progress import Progress

Weights = dict[str, Tensor]
SEED = 7


def trained(*overrides: str) -> Weights:
    """Return the weights at the end of `ptrun train`."""
    with tempfile.TemporaryDirectory(prefix="gpu-bench-") as folder:
        result = ptrun.train(*overrides, f"seed={SEED}", f"output_dir={folder}", "plots=false", quiet=True)
        weights: Weights = store.load(result.run_dir / "checkpoints" / "last.pt")["model"]
        return weights


def trained_by_tutorial(
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer], epochs: int, *overrides: str
) -> Weights:
    """Return the weights at the end of the tutorial loop, with the first weights and the batches of `ptrun train`."""
    run = _run.built(*overrides, f"seed={SEED}")
    ctx, model = run.ctx, run.config.model
    batches = [(ctx.runtime.arrange(b.inputs), b.targets) for epoch in range(epochs) for b in ctx.train.epoch(epoch)]
    torch.manual_seed(SEED)
    plain = ctx.runtime.place(registry.models.build(model.name, model.settings, run.prepared.spec))
    plain_optimizer, loss_fn = optimizer(plain.parameters()), nn.CrossEntropyLoss()
    plain.train()
    for inputs, targets in batches:
        plain_optimizer.zero_grad()
        loss_fn(plain(inputs), targets).backward()
        plain_optimizer.step()
    return {name: value.cpu() for name, value in plain.state_dict().items()}


def stopped_and_resumed(after_steps: int, *overrides: str) -> Weights:
    """Return the weights of a run that was stopped within an epoch, saved, built again and continued."""
    overrides = (*overrides, f"seed={SEED}")
    ctx, progress = _run.built(*overrides).ctx, Progress()
    fit(ctx, progress, Hooks(should_stop=lambda: progress.step >= after_steps))
    saved = state.snapshot(ctx, progress)
    resumed_ctx, resumed_progress = _run.built(*overrides).ctx, Progress()
    state.restore(resumed_ctx, resumed_progress, saved)
    fit(resumed_ctx, resumed_progress, Hooks())
    return {name: value.cpu() for name, value in resumed_ctx.model.state_dict().items()}


def largest_difference(one: Weights, other: Weights) -> float:
    """Return the largest difference between two numbers in the same place; 0 means equal bits."""
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


@dataclass(frozen=True)
class Recipe:
    """Results of a run of a recipe."""

    test_accuracy: float
    val_accuracy: float
    training_seconds: float  # all epochs, validation included
    seconds_to: float | None  # up to the first validation with the target accuracy


def recipe(target_accuracy: float, *overrides: str) -> Recipe:
    """Run a recipe and read the files that it wrote."""
    with tempfile.TemporaryDirectory(prefix="gpu-bench-") as folder:
        result = ptrun.train(*overrides, f"output_dir={folder}", "plots=false", quiet=True)
        summary = json.loads((result.run_dir / "summary.json").read_text(encoding="utf-8"))
        with (result.run_dir / "metrics.csv").open(encoding="utf-8", newline="") as file:
            epochs = list(csv.DictReader(file))
    validated = [line for line in epochs if line.get("val/accuracy")]
    seconds, seconds_to = 0.0, None
    for line in epochs:
        seconds += float(line["seconds"])
        if seconds_to is None and float(line.get("val/accuracy") or 0) >= target_accuracy:
            seconds_to = seconds
    return Recipe(
        test_accuracy=summary["test"]["accuracy"],
        val_accuracy=float(validated[-1]["val/accuracy"]),
        training_seconds=summary["training_seconds"],
        seconds_to=seconds_to,
    )


def dataset(path: Path) -> tuple[str, ...]:
    """Return the overrides for CIFAR-10 from a .npz file of arrays, or from a folder that holds cifar-10-batches-py."""
    if path.suffix == ".npz":
        return ("dataset=arrays", f"dataset.path={path.resolve()}")
    return (f"dataset.root={path.resolve()}", "dataset.download=false")
