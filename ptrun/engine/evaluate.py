"""Evaluates a model on the batches of one part of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptrun.data.loading.loader import Loader
from ptrun.device.runtime import Runtime
from ptrun.engine.out_of_memory import explain_out_of_memory
from ptrun.losses.shapes import Loss


@dataclass(frozen=True)
class Outputs:
    """A model's raw outputs [N, num_outputs] for a split, with targets and mean loss, on the CPU."""

    outputs: Tensor
    targets: Tensor
    loss: float


def evaluate(
    model: nn.Module, loss: Loss, batches: Loader, runtime: Runtime, take: Callable[[Tensor, Tensor], None]
) -> float:
    """Give the outputs and targets of each batch of a split, in order, to `take`; return the mean loss of its samples."""
    model.eval()
    total_loss, samples = torch.zeros((), device=runtime.device), 0
    told = explain_out_of_memory("evaluation", "evaluation", batches.sampler.batch_size, runtime)
    with told, torch.inference_mode(), runtime.autocast():
        for batch in batches.epoch(0):
            outputs = model(runtime.arrange(batch.inputs))
            total_loss += loss(outputs, batch.targets) * len(batch.targets)
            samples += len(batch.targets)
            take(outputs, batch.targets)
    return float(total_loss) / samples


def predict(model: nn.Module, loss: Loss, batches: Loader, runtime: Runtime) -> Outputs:
    """Outputs of a model for every sample of a split, in order, and their mean loss."""
    kept: list[tuple[Tensor, Tensor]] = []
    mean_loss = evaluate(
        model, loss, batches, runtime, lambda outputs, targets: kept.append((outputs.float().cpu(), targets.cpu()))
    )
    outputs, targets = (torch.cat(each) for each in zip(*kept, strict=True))
    return Outputs(outputs, targets, mean_loss)
