"""Hand-written loops for a CUDA device, without ptrun: the tutorial's, a tuned one, and the same as a CUDA graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

PairOf = tuple[Tensor, Tensor]
Epoch = Callable[[], Iterable[PairOf]]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
WARM_UP_STEPS = 3


def synchronize(device: str) -> None:
    """Wait for the device, so that a clock read next counts its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def timed(step: Callable[[Tensor, Tensor], None], epoch: Epoch, device: str, epochs: int) -> float:
    """Return the seconds per step of the last epoch; the epochs before warm up."""
    seconds = 0.0
    for _ in range(epochs):
        synchronize(device)
        steps, start = 0, time.perf_counter()
        for inputs, targets in epoch():
            step(inputs, targets)
            steps += 1
        synchronize(device)
        seconds = (time.perf_counter() - start) / steps
    return seconds


def tutorial(model: nn.Module, optimizer: MakeOptimizer, epoch: Epoch, device: str, *, epochs: int) -> float:
    """Time the loop of PyTorch introductions, which sends each batch to the device and reads each loss."""
    model = model.to(device).train()
    updates, loss_fn, losses = optimizer(model.parameters()), nn.CrossEntropyLoss(), [0.0]

    def step(inputs: Tensor, targets: Tensor) -> None:
        inputs, targets = inputs.to(device), targets.to(device)
        updates.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        updates.step()
        losses[0] += loss.item()

    return timed(step, epoch, device, epochs)


def by_hand(
    model: nn.Module,
    optimizer: MakeOptimizer,
    epoch: Epoch,
    device: str,
    *,
    epochs: int,
    bf16: bool = False,
    compiled: bool = False,
) -> float:
    """Time a tuned loop: data on the device, a fused optimizer, no loss read."""
    model = model.to(device).train()
    if compiled:
        model.compile()
    updates, loss_fn = optimizer(model.parameters()), nn.CrossEntropyLoss()

    def step(inputs: Tensor, targets: Tensor) -> None:
        updates.zero_grad()
        with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
            loss = loss_fn(model(inputs), targets)
        loss.backward()
        updates.step()

    return timed(step, epoch, device, epochs)


def by_hand_graph(
    model: nn.Module, optimizer: MakeOptimizer, epoch: Epoch, *, epochs: int, bf16: bool = False
) -> float:
    """Time the loop of `by_hand` with the whole step, optimizer included, as one CUDA graph.

    The learning rate can't change, and a smaller last batch is left out.
    """
    model = model.to("cuda").train()
    updates, loss_fn = optimizer(model.parameters()), nn.CrossEntropyLoss()
    inputs, targets = (tensor.clone() for tensor in next(iter(epoch())))

    def whole_step() -> None:
        updates.zero_grad()
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=bf16):
            loss = loss_fn(model(inputs), targets)
        loss.backward()
        updates.step()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP_STEPS):
            whole_step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    updates.zero_grad()
    with torch.cuda.graph(graph):
        whole_step()

    def step(new_inputs: Tensor, new_targets: Tensor) -> None:
        if len(new_targets) == len(targets):
            inputs.copy_(new_inputs)
            targets.copy_(new_targets)
            graph.replay()

    return timed(step, epoch, "cuda", epochs)


def gathered(inputs: Tensor, targets: Tensor, batch: int, *, channels_last: bool) -> Iterator[PairOf]:
    """Yield batches of uint8 images that are on the device, normalized there."""
    order = torch.randperm(len(targets), device=inputs.device)
    for indices in order.split(batch):
        pixels = inputs.index_select(0, indices).float().div_(127.5).sub_(1)
        if channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        yield pixels, targets[indices]


def lightning(
    model: nn.Module, optimizer: MakeOptimizer, batches: Iterable[PairOf], steps: int, device: str, **settings: Any
) -> float:
    """Return the seconds per step of a default Trainer over three epochs, all of them counted."""
    import _lightning

    accelerator = "gpu" if device == "cuda" else "cpu"
    module = _lightning.Module(model, optimizer)
    return _lightning.train(module, batches, 3, accelerator=accelerator, devices=1, **settings) / (3 * steps)
