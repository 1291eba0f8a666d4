"""A small step: digits, an MLP 64-128-10, batches of 32, SGD. What does a framework add to the tutorial loop?

python benchmarks/small_step.py [--quick] [--csv FILE] [--rounds N] [--threads N]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import _run
import torch
from _table import US_PER_STEP, Case, Report, alternate, is_installed, machine_line, parser, read
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

LR, MOMENTUM, BATCH = 0.05, 0.9, 32
SETTINGS = (
    "model=simplenet",
    "model.hidden_features=[128]",
    "dataset=digits",
    "optimizer=sgd",
    f"optimizer.lr={LR}",
    f"optimizer.momentum={MOMENTUM}",
    f"train.batch_size={BATCH}",
    "device=cpu",
)
Samples = tuple[Tensor, Tensor]


def mlp() -> nn.Module:
    """The network."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def samples() -> tuple[Samples, Samples]:
    """Return ptrun's normalized digits [N, 1, 8, 8] and labels [N], for training and for validation."""
    ctx = _run.built(*SETTINGS).ctx
    train, val = (list(zip(*loader.epoch(0), strict=True)) for loader in (ctx.train, ctx.val))
    return (torch.cat(train[0]), torch.cat(train[1])), (torch.cat(val[0]), torch.cat(val[1]))


def loader(data: Samples) -> DataLoader[tuple[Tensor, ...]]:
    """Return the DataLoader that tutorials make of them."""
    return DataLoader(TensorDataset(*data), batch_size=BATCH, shuffle=True)


def tutorial(data: Samples, epochs: int, *, log: bool) -> float:
    """Seconds per step of the loop of every introduction to PyTorch; `log` reads the loss at each step."""
    model, loss_fn, batches = mlp(), nn.CrossEntropyLoss(), loader(data)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    running, steps, start = 0.0, 0, time.perf_counter()
    for _ in range(epochs):
        model.train()
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            optimizer.step()
            steps += 1
            if log:
                running += loss.item()
    return (time.perf_counter() - start) / steps


def whole_tutorial(data: Samples, held_out: Samples, epochs: int) -> float:
    """Seconds per step of the tutorial loop with validation and `torch.save` after each epoch."""
    model, loss_fn, batches = mlp(), nn.CrossEntropyLoss(), loader(data)
    validation = DataLoader(TensorDataset(*held_out), batch_size=BATCH)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    running, steps, start = 0.0, 0, time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tutorial-bench-") as folder:
        for epoch in range(epochs):
            model.train()
            for inputs, targets in batches:
                optimizer.zero_grad()
                loss = loss_fn(model(inputs), targets)
                loss.backward()
                optimizer.step()
                steps += 1
                running += loss.item()
            model.eval()
            correct, val_loss = 0, 0.0
            with torch.no_grad():
                for inputs, targets in validation:
                    outputs = model(inputs)
                    val_loss += loss_fn(outputs, targets).item()
                    correct += int((outputs.argmax(1) == targets).sum())
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state, Path(folder) / f"epoch-{epoch}.pt")
        return (time.perf_counter() - start) / steps


def tuned(data: Samples, epochs: int) -> float:
    """Seconds per step of a tuned loop: indexing instead of a DataLoader, fused optimizer, loss never read."""
    model, loss_fn = mlp(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, fused=True)
    inputs, targets = data
    steps, start = 0, time.perf_counter()
    for _ in range(epochs):
        model.train()
        for indices in torch.randperm(len(targets)).split(BATCH):
            optimizer.zero_grad()
            loss_fn(model(inputs[indices]), targets[indices]).backward()
            optimizer.step()
            steps += 1
    return (time.perf_counter() - start) / steps


def lightning(data: Samples, epochs: int) -> float:
    """Seconds per step of a default Trainer."""
    import _lightning

    module = _lightning.Module(mlp(), partial(torch.optim.SGD, lr=LR, momentum=MOMENTUM))
    batches = loader(data)
    return _lightning.train(module, batches, epochs, accelerator="cpu") / (epochs * len(batches))


class Ptrun:
    """Runs of ptrun. Each gives two numbers: its steps alone, and all that happens from the first epoch to the last."""

    def __init__(self, epochs: int, threads: int | None, *more: str) -> None:
        self.overrides = (*SETTINGS, f"train.epochs={epochs}", f"device.threads={threads or 'auto'}", *more)
        self.timings: list[_run.Timing] = []

    def __call__(self) -> float:
        """Seconds per step of the whole loop."""
        timing = _run.train(*self.overrides)
        self.timings.append(timing)
        return timing.whole_step


def main() -> None:
    """Measure and print the results."""
    options = read(parser(__doc__.splitlines()[0], rounds=7, threads=1))
    epochs, rounds = 2 if options.quick else 20, options.rounds
    if options.threads:
        torch.set_num_threads(options.threads)
    report = Report("A small step: digits, MLP 64-128-10, batch 32, SGD", machine_line(options.threads), options.quick)
    data, held_out = samples()
    plain, eager = Ptrun(epochs, options.threads), Ptrun(epochs, options.threads, "device.compile=none")
    cases: dict[str, Case] = {
        "tutorial": partial(tutorial, data, epochs, log=True),
        "tutorial, loss never read": partial(tutorial, data, epochs, log=False),
        "tutorial, with validation and torch.save": partial(whole_tutorial, data, held_out, epochs),
        "tuned by hand": partial(tuned, data, epochs),
        "ptrun": plain,
        "ptrun compile=none": eager,
    }
    if is_installed("lightning"):
        cases["Lightning"] = partial(lightning, data, epochs)
    else:
        report.note("Lightning is not installed (pip install lightning), so its row is absent.")
    times = alternate(_with_threads(cases, options.threads), rounds)
    for name, runs in (("ptrun", plain), ("ptrun compile=none", eager)):
        times[f"{name}, steps alone"] = [timing.step for timing in runs.timings[-rounds:]]
    report.compare("training, from the first step to the last", times, US_PER_STEP, "tutorial")
    report.note(
        "ptrun: with validation, metrics, console, log files and synced checkpoints, each epoch has 40 steps. Of the"
    )
    report.note(
        "loops by hand, only the one `with validation and torch.save` does something of that between its epochs."
    )
    report.note("By default ptrun captures the step of such a model (device.compile=auto); compile=none does not.")
    report.note("Lightning: default Trainer with its logger, bar and checkpoints, without validation.")
    for name, runs in (("ptrun", plain), ("ptrun compile=none", eager)):
        report.note(f"time of {name}: {_run.shares(runs.timings[-rounds:])}")
    for part in ("", ", steps alone"):
        report.accept(times, f"ptrun{part}", "tutorial", 0.30)
        report.accept(times, f"ptrun compile=none{part}", "tutorial", 0.60, aim=0.45)
        report.accept(times, f"ptrun{part}", "Lightning", 0.20)
    report.write(options.csv)


def _with_threads(cases: dict[str, Case], threads: int | None) -> dict[str, Case]:
    """Make each case start with the same number of threads, even if the previous one changed it."""

    def run(case: Callable[[], float]) -> float:
        if threads:
            torch.set_num_threads(threads)
        return case()

    return {name: partial(run, case) for name, case in cases.items()}


if __name__ == "__main__":
    main()
