"""Evaluates a model on one part of the data."""

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
    model: nn.Module, loss: Loss, loader: Loader, runtime: Runtime, on_outputs: Callable[[Tensor, Tensor], None]
) -> float:
    """Call `on_outputs` with the outputs and targets of each batch, in order. Returns the mean loss of all samples.

    Raises ResourceError when memory runs out.
    """
    model.eval()
    total_loss, samples = torch.zeros((), device=runtime.device), 0
    explained = explain_out_of_memory("evaluation", "evaluation", loader.sampler.batch_size, runtime)
    with explained, torch.inference_mode(), runtime.autocast():
        for batch in loader.epoch(0):
            outputs = model(runtime.arrange(batch.inputs))
            total_loss += loss(outputs, batch.targets) * len(batch.targets)
            samples += len(batch.targets)
            on_outputs(outputs, batch.targets)
    return float(total_loss) / samples


def predict(model: nn.Module, loss: Loss, loader: Loader, runtime: Runtime) -> Outputs:
    """The outputs of a model for every sample of a split, in order, and their mean loss."""
    batches: list[tuple[Tensor, Tensor]] = []

    def keep(outputs: Tensor, targets: Tensor) -> None:
        batches.append((outputs.float().cpu(), targets.cpu()))

    mean_loss = evaluate(model, loss, loader, runtime, keep)
    outputs, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return Outputs(outputs, targets, mean_loss)
