"""A CUDA device: equal parameters, a small step, a convnet, ResNet-50, and CIFAR-10, against bare loops and peers.

python benchmarks/gpu.py [--quick] [--csv FILE] [--rounds N] [--device cuda|cpu] [--cifar10 FOLDER] [--minutes N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import _run
import torch
from _images import images
from _table import US_PER_STEP, Case, Report, Unit, alternate, is_installed, machine_line, parser, per_second, read
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import ptrun
from ptrun import registry
from ptrun.checkpoint import store
from ptrun.config import schema
from ptrun.models.convnet import ConvNet

PairOf = tuple[Tensor, Tensor]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
TRANSFORMS = "[{normalize: {mean: half, std: half}}]"
DIFFERENCE = Unit("max difference", lambda value: value)


@dataclass(frozen=True)
class Size:
    """How much each table measures."""

    small_epochs: int
    conv_batch: int
    conv_steps: int
    arch: str
    pixels: int
    arch_batch: int
    arch_steps: int
    compiled: bool


FULL = Size(20, 128, 100, "resnet50", 224, 128, 20, True)
QUICK = Size(2, 16, 2, "resnet18", 32, 4, 2, False)


def synchronize(device: str) -> None:
    """Wait for the device, so that a clock read next is true."""
    if device == "cuda":
        torch.cuda.synchronize()


def bare(
    model: nn.Module,
    optimizer: MakeOptimizer,
    epoch: Callable[[], Iterable[PairOf]],
    device: str,
    *,
    epochs: int,
    bf16: bool = False,
    compiled: bool = False,
    log: bool = False,
) -> float:
    """Seconds per step of a loop by hand in its last epoch: in the ones before, everything warms up.

    log: read the loss at each step, as tutorials do.
    """
    model = model.to(device)
    if compiled:
        model.compile()
    made, loss_fn = optimizer(model.parameters()), nn.CrossEntropyLoss()
    model.train()
    seconds = 0.0
    for _ in range(epochs):
        synchronize(device)
        steps, running, begun = 0, 0.0, time.perf_counter()
        for inputs, targets in epoch():
            inputs, targets = inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)
            made.zero_grad()
            with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
                loss = loss_fn(model(inputs), targets)
            loss.backward()
            made.step()
            steps += 1
            running += loss.item() if log else 0.0
        synchronize(device)
        seconds = (time.perf_counter() - begun) / steps
    return seconds


def gathered(inputs: Tensor, targets: Tensor, batch: int, *, channels_last: bool) -> Iterator[PairOf]:
    """Batches of uint8 images on the device, normalised there."""
    order = torch.randperm(len(targets), device=inputs.device)
    for indices in order.split(batch):
        pictures = inputs.index_select(0, indices).float().div_(127.5).sub_(1)
        if channels_last:
            pictures = pictures.contiguous(memory_format=torch.channels_last)
        yield pictures, targets[indices]


def lightning(model: nn.Module, optimizer: MakeOptimizer, data: Iterable[PairOf], steps: int, device: str, **more: Any) -> float:  # fmt: skip
    """Seconds per step of a default Trainer over three epochs, of which none is left out."""
    import _lightning

    accelerator = "gpu" if device == "cuda" else "cpu"
    return _lightning.train(_lightning.Module(model, optimizer), data, 3, accelerator=accelerator, devices=1, **more) / (3 * steps)  # fmt: skip


def difference(model: str, device: str) -> float:
    """Largest difference between the parameters of ptrun and of the tutorial loop on the same batches."""
    overrides = [f"model={model}", "optimizer=sgd", "optimizer.lr=0.05", "optimizer.momentum=0.9", "scheduler=none"]
    overrides += ["train.epochs=2", "train.batch_size=64", "seed=7", f"device={device}"]
    with tempfile.TemporaryDirectory(prefix="gpu-bench-") as folder:
        result = ptrun.train(*overrides, f"output_dir={folder}", quiet=True)
        trained = store.load(result.run_dir / "checkpoints" / "last.pt")["model"]
    run = _run.built(*overrides)
    x = run.ctx
    epochs = [[(x.runtime.arrange(b.inputs), b.targets) for b in x.train.epoch(number)] for number in range(2)]
    torch.manual_seed(7)
    plain = x.runtime.place(registry.models.build(model, run.config.model.settings, run.prepared.spec))
    optimizer, loss_fn = SGD(plain.parameters(), fused=True), nn.CrossEntropyLoss()
    plain.train()
    for batches in epochs:
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss_fn(plain(inputs), targets).backward()
            optimizer.step()
    return max(float((value.cpu() - trained[name]).abs().max()) for name, value in plain.state_dict().items())


def parity(report: Report, device: str) -> None:
    """Say how far ptrun's parameters are from the tutorial loop's after two epochs of digits; 0 is equal bits."""
    for model in ("simplenet", "convnet"):
        report.number("parity with the tutorial loop", model, DIFFERENCE, difference(model, device))


def small_step(report: Report, device: str, size: Size, rounds: int) -> None:
    """Digits, an MLP 64-128-10, batches of 32, SGD."""
    settings = ("model=simplenet", "model.hidden_features=[128]", "optimizer=sgd", "optimizer.lr=0.05", "optimizer.momentum=0.9")  # fmt: skip
    settings += (f"device={device}", f"train.epochs={size.small_epochs}")
    found = list(zip(*_run.built(*settings).ctx.train.epoch(0), strict=True))
    inputs, targets = torch.cat(found[0]), torch.cat(found[1])
    loader = DataLoader(TensorDataset(inputs.cpu(), targets.cpu()), 32, shuffle=True, pin_memory=device == "cuda")

    def mlp() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def parts() -> Iterator[PairOf]:
        for indices in torch.randperm(len(targets), device=device).split(32):
            yield inputs[indices], targets[indices]

    def by(*more: str) -> float:
        return _run.train(*settings, *more).step

    cases: dict[str, Case] = {
        "tutorial": lambda: bare(mlp(), SGD, lambda: loader, device, epochs=5, log=True),
        "tuned by hand": lambda: bare(mlp(), partial(SGD, fused=True), parts, device, epochs=5),
        "ptrun, steps alone": by,
        "ptrun compile=step, steps alone": partial(by, "device.compile=step"),
    }
    if is_installed("lightning"):
        cases["Lightning"] = lambda: lightning(mlp(), SGD, loader, len(loader), device)
    report.compare("small step: MLP 64-128-10, batch 32", alternate(cases, rounds), US_PER_STEP, "tutorial")


def convnet(report: Report, device: str, size: Size, rounds: int) -> None:
    """ptrun's convnet on 32x32 colour images."""
    batch, count = size.conv_batch, size.conv_batch * size.conv_steps
    split = images(count, 32, 10)
    data = TensorDataset(split.inputs.float().div(127.5).sub(1), split.targets)
    loader = DataLoader(data, batch, shuffle=True, pin_memory=device == "cuda")
    inputs, targets = split.inputs.to(device), split.targets.to(device)
    adamw, fused = partial(torch.optim.AdamW, lr=0.001), partial(torch.optim.AdamW, lr=0.001, fused=True)

    def network() -> nn.Module:
        return ConvNet((3, 32, 32), (64, 128), 512, 10, dropout=0.5, max_map_size=8)

    def by_hand(*, bf16: bool) -> float:
        model = network().to(memory_format=torch.channels_last) if bf16 else network()
        batches = partial(gathered, inputs, targets, batch, channels_last=bf16)
        return bare(model, fused, batches, device, epochs=2, bf16=bf16) / batch

    def by(*more: str) -> float:
        overrides = ("dataset=bench_images", f"dataset.count={count}", "dataset.val_count=16", "model=convnet")
        steps = (
            f"transform.train={TRANSFORMS}",
            f"transform.eval={TRANSFORMS}",
            f"train.batch_size={batch}",
            "train.epochs=2",
        )
        return _run.train(*overrides, *steps, f"device={device}", "checkpoint=none", *more).later_epoch

    cases: dict[str, Case] = {
        "tutorial": lambda: bare(network(), adamw, lambda: loader, device, epochs=2, log=True) / batch,
        "best by hand": partial(by_hand, bf16=False),
        "best by hand, bf16": partial(by_hand, bf16=True),
        "ptrun": by,
        "ptrun bf16": partial(by, "device.precision=bf16"),
    }
    if is_installed("lightning"):
        cases["Lightning"] = lambda: lightning(network(), adamw, loader, len(loader), device) / batch
    times = alternate(cases, rounds)
    report.compare(f"convnet, batches of {batch}", times, per_second("images"), "tutorial")


def large(report: Report, device: str, size: Size, rounds: int) -> None:
    """A network for photos in bf16, channels innermost, compiled, on made-up images that lie on the device."""
    import torchvision

    batch, count = size.arch_batch, size.arch_batch * size.arch_steps
    split = images(count, size.pixels, 10)
    inputs, targets = split.inputs.to(device), split.targets.to(device)
    sgd = partial(SGD, fused=True)
    batches = partial(gathered, inputs, targets, batch, channels_last=True)

    def by_hand(make: Callable[[], nn.Module]) -> float:
        model = make().to(memory_format=torch.channels_last)
        return bare(model, sgd, batches, device, epochs=3, bf16=True, compiled=size.compiled) / batch

    def by_ptrun() -> float:
        compiled = "model" if size.compiled else "none"
        overrides = ("dataset=bench_images", f"dataset.count={count}", "dataset.val_count=16", f"dataset.size={size.pixels}")  # fmt: skip
        model = ("model=torchvision", f"model.arch={size.arch}", "model.image_size=null", "optimizer=sgd", "optimizer.momentum=0.9")  # fmt: skip
        steps = (
            f"transform.train={TRANSFORMS}",
            f"transform.eval={TRANSFORMS}",
            f"train.batch_size={batch}",
            "train.epochs=3",
        )
        where = (f"device={device}", "device.precision=bf16", "device.channels_last=true", f"device.compile={compiled}")
        return _run.train(*overrides, *model, *steps, *where, "train.val_every_epochs=3", "checkpoint=none").later_epoch

    cases: dict[str, Case] = {
        "bare loop": partial(by_hand, partial(torchvision.models.get_model, size.arch, num_classes=10)),
        "ptrun": by_ptrun,
    }
    if is_installed("timm"):
        import timm

        cases["bare loop, model of timm"] = partial(by_hand, partial(timm.create_model, size.arch, num_classes=10))
    else:
        report.note("timm is not installed (pip install timm), so its row is absent.")
    title = f"{size.arch}, {size.pixels}x{size.pixels}, batches of {batch}, bf16, channels last{', compiled' * size.compiled}"  # fmt: skip
    report.compare(title, alternate(cases, rounds, warm_up=False), per_second("images"), "bare loop")


def cifar10_fast(report: Report, device: str, root: Path | None) -> None:
    """The recipe `cifar10_fast`, where it and the data are."""
    name = "cifar10_fast"
    if name not in schema.names("experiment"):
        report.note(f"experiment={name} does not exist in this version, so its row is absent.")
        return
    if root is None:
        report.note(f"experiment={name} is left out: it needs --cifar10 FOLDER (with cifar-10-batches-py).")
        return
    with tempfile.TemporaryDirectory(prefix="gpu-bench-") as folder:
        overrides = (
            f"experiment={name}",
            f"dataset.root={root.resolve()}",
            "dataset.download=false",
            f"device={device}",
        )
        result = ptrun.train(*overrides, f"output_dir={folder}", quiet=True)
        summary = json.loads((result.run_dir / "summary.json").read_text(encoding="utf-8"))
    report.number(f"experiment={name}", "test accuracy", Unit("share", float), summary["test"]["accuracy"])
    report.number(f"experiment={name}", "training", Unit("s", float), summary["training_seconds"])


def measure(report: Report, asked: argparse.Namespace) -> None:
    """All tables, as far as the time goes."""
    size, device, begun = QUICK if asked.quick else FULL, asked.device, time.monotonic()
    tables: dict[str, Callable[[], None]] = {
        "parity": partial(parity, report, device),
        "small step": partial(small_step, report, device, size, asked.rounds),
        "convnet": partial(convnet, report, device, size, asked.rounds),
        size.arch: partial(large, report, device, size, min(asked.rounds, 2)),
        "cifar10_fast": partial(cifar10_fast, report, device, asked.cifar10),
    }
    for name, table in tables.items():
        if time.monotonic() - begun > 60 * asked.minutes:
            report.note(f"{name} is left out: {asked.minutes:g} minutes are over (--minutes).")
            continue
        table()


def main() -> None:
    """Measure and print."""
    options = parser(__doc__.splitlines()[0], rounds=3, threads=None)
    options.add_argument("--device", choices=("cuda", "cpu"), help="where to measure (none: cuda)")
    options.add_argument("--cifar10", type=Path, metavar="FOLDER", help="folder that holds cifar-10-batches-py")
    options.add_argument("--minutes", type=float, default=6.0, help="no further table begins after this long")
    asked = read(options)
    if asked.device is None and not torch.cuda.is_available():
        print(
            "There is no CUDA device here, so nothing was measured. `--device cpu --quick` tries the script without one."
        )
        return
    asked.device = asked.device or "cuda"
    if asked.threads:
        torch.set_num_threads(asked.threads)
    name = torch.cuda.get_device_name() if asked.device == "cuda" else "the CPU"
    report = Report(f"on {name}", machine_line(asked.threads), asked.quick)
    if not is_installed("lightning"):
        report.note("Lightning is not installed (pip install lightning), so its rows are absent.")
    measure(report, asked)
    report.write(asked.csv)


if __name__ == "__main__":
    main()
