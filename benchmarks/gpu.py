"""A CUDA device: parity, resuming, a small step, a convnet, ResNet-50, CIFAR-10, against hand-written loops and peers.

python benchmarks/gpu.py [--quick] [--csv FILE] [--out FOLDER] [--only TABLE ...] [--rounds N] [--device cuda|cpu]
    [--cifar10 FILE.npz|FOLDER] [--seeds N] [--minutes N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import _gpu_runs
import _run
import torch
from _gpu_loops import MakeOptimizer, PairOf, by_hand, by_hand_graph, gathered, lightning, tutorial
from _images import images
from _table import (
    MS_PER_STEP,
    SECONDS,
    US_PER_STEP,
    Case,
    Report,
    Unit,
    alternate,
    is_installed,
    machine_line,
    parser,
    per_second,
    read,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ptrun.models.convnet import ConvNet

SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
TRANSFORMS = "[{normalize: {mean: half, std: half}}]"
DIFFERENCE = Unit("max difference", lambda value: value)
SHARE = Unit("share", lambda value: value)
MOMENTUM = ("optimizer=sgd", "optimizer.lr=0.05", "optimizer.momentum=0.9")
PARITY = (*MOMENTUM, "scheduler=none", "train.epochs=2", "train.batch_size=64")
MINIMAL = ("checkpoint=none", "train.val_every_epochs=1000", "dataset.val_count=16")
TARGET_ACCURACY = 0.94


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


FULL = Size(20, 128, 100, "resnet50", 224, 128, 20)
QUICK = Size(2, 16, 2, "resnet18", 32, 4, 2)


@dataclass(frozen=True)
class Options:
    """The options that the tables need."""

    device: str
    size: Size
    rounds: int
    cifar10: Path | None
    seeds: int

    @property
    def on_gpu(self) -> bool:
        """Whether `device` is a CUDA device."""
        return self.device == "cuda"


def parity(report: Report, options: Options) -> None:
    """Report the distance of ptrun's parameters from the tutorial loop's after two epochs of digits, fp32."""
    for model in ("simplenet", "convnet"):
        for deterministic in ("true", "false"):
            settings = (*PARITY, f"model={model}", f"device={options.device}", f"train.deterministic={deterministic}")
            plain = _gpu_runs.trained_by_tutorial(partial(SGD, fused=True), 2, *settings)
            for how in ("none", "step"):
                difference = _gpu_runs.largest_difference(_gpu_runs.trained(*settings, f"device.compile={how}"), plain)
                case = f"{model}, deterministic={deterministic}, compile={how}"
                report.number("parity with the tutorial loop", case, DIFFERENCE, difference)


def resume(report: Report, options: Options) -> None:
    """Report how far a run that was stopped within an epoch and continued is from one that was not; 0: equal bits."""
    cases = {
        "fp32, compile=none": ("device.compile=none",),
        "fp32, compile=step": ("device.compile=step",),
        "bf16": ("device.precision=bf16",),
        "fp16": ("device.precision=fp16", "device.compile=none"),
    }
    for name, more in cases.items():
        if name == "fp16" and not options.on_gpu:
            continue
        settings = (*PARITY, "model=convnet", f"device={options.device}", "train.deterministic=true", *more)
        whole, resumed = _gpu_runs.trained(*settings), _gpu_runs.stopped_and_resumed(25, *settings)
        difference = _gpu_runs.largest_difference(whole, resumed)
        report.number("stopped after 25 of 40 steps and resumed, against never stopped", name, DIFFERENCE, difference)


def small_step(report: Report, options: Options) -> None:
    """Compare a step on digits: an MLP 64-128-10, batches of 32, SGD."""
    device = options.device
    settings = ("model=simplenet", "model.hidden_features=[128]", *MOMENTUM)
    settings += (f"device={device}", f"train.epochs={options.size.small_epochs}")
    columns = list(zip(*_run.built(*settings).ctx.train.epoch(0), strict=True))
    inputs, targets = torch.cat(columns[0]), torch.cat(columns[1])
    loader = DataLoader(TensorDataset(inputs.cpu(), targets.cpu()), 32, shuffle=True, pin_memory=options.on_gpu)
    fused = partial(SGD, fused=True)

    def mlp() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def batches() -> Iterator[PairOf]:
        order = torch.randperm(len(targets), device=device)
        yield from zip(inputs[order].split(32), targets[order].split(32), strict=True)

    def by(*more: str) -> float:
        return _run.train(*settings, *more).step

    cases: dict[str, Case] = {
        "tutorial": lambda: tutorial(mlp(), SGD, lambda: loader, device, epochs=5),
        "by hand": lambda: by_hand(mlp(), fused, batches, device, epochs=5),
        "ptrun compile=none, steps alone": partial(by, "device.compile=none"),
        "ptrun compile=step, steps alone": partial(by, "device.compile=step"),
        "ptrun compile=step, with all that it does": lambda: _run.train(*settings, "device.compile=step").whole_step,
    }
    if options.on_gpu:
        cases["by hand, CUDA graph of the whole step"] = lambda: by_hand_graph(mlp(), fused, batches, epochs=5)
    if is_installed("lightning"):
        cases["Lightning"] = lambda: lightning(mlp(), SGD, loader, len(loader), device)
    report.compare("small step: MLP 64-128-10, batch 32", alternate(cases, options.rounds), US_PER_STEP, "tutorial")


def convnet(report: Report, options: Options) -> None:
    """Compare ptrun's convnet on 32x32 color images, AdamW."""
    device, batch, count = options.device, options.size.conv_batch, options.size.conv_batch * options.size.conv_steps
    split = images(count, 32, 10)
    data = TensorDataset(split.inputs.float().div(127.5).sub(1), split.targets)
    loader = DataLoader(data, batch, shuffle=True, pin_memory=options.on_gpu)
    inputs, targets = split.inputs.to(device), split.targets.to(device)
    adamw, fused = partial(torch.optim.AdamW, lr=0.001), partial(torch.optim.AdamW, lr=0.001, fused=True)

    def network(*, channels_last: bool = False) -> nn.Module:
        model = ConvNet((3, 32, 32), (64, 128), 512, 10, dropout=0.5, max_map_size=8)
        return model.to(memory_format=torch.channels_last) if channels_last else model

    def hand(*, bf16: bool) -> float:
        batches = partial(gathered, inputs, targets, batch, channels_last=bf16)
        return by_hand(network(channels_last=bf16), fused, batches, device, epochs=3, bf16=bf16) / batch

    def graph() -> float:
        capturable = partial(fused, capturable=True)
        batches = partial(gathered, inputs, targets, batch, channels_last=True)
        return by_hand_graph(network(channels_last=True), capturable, batches, epochs=3, bf16=True) / batch

    def by(precision: str, how: str) -> float:
        overrides = ("dataset=bench_images", f"dataset.count={count}", "model=convnet", f"train.batch_size={batch}")
        more = (f"transform.train={TRANSFORMS}", f"transform.eval={TRANSFORMS}", "train.epochs=3", f"device={device}")
        settings = (*overrides, *MINIMAL, *more, f"device.precision={precision}", f"device.compile={how}")
        return _run.train(*settings).later_epoch

    cases: dict[str, Case] = {
        "tutorial": lambda: tutorial(network(), adamw, lambda: loader, device, epochs=2) / batch,
        "by hand": partial(hand, bf16=False),
        "by hand, bf16": partial(hand, bf16=True),
        "ptrun compile=none": partial(by, "fp32", "none"),
        "ptrun compile=step": partial(by, "fp32", "step"),
        "ptrun compile=none, bf16": partial(by, "bf16", "none"),
        "ptrun compile=step, bf16": partial(by, "bf16", "step"),
    }
    if options.on_gpu:
        cases["by hand, bf16, CUDA graph of the whole step"] = graph
    if is_installed("lightning"):
        cases["Lightning"] = lambda: lightning(network(), adamw, loader, len(loader), device) / batch
    times = alternate(cases, options.rounds, warm_up=False)
    report.compare(f"convnet, batches of {batch}", times, per_second("images"), "tutorial")


def large(report: Report, options: Options, *, compiled: bool) -> None:
    """Compare a network for photos in bf16, channels innermost, on synthetic images that are on the device."""
    import torchvision

    device, size = options.device, options.size
    batch, count = size.arch_batch, size.arch_batch * size.arch_steps
    split = images(count, size.pixels, 10)
    inputs, targets = split.inputs.to(device), split.targets.to(device)
    batches = partial(gathered, inputs, targets, batch, channels_last=True)
    network = partial(torchvision.models.get_model, size.arch, num_classes=10)

    def hand(make: Callable[[], nn.Module]) -> float:
        model = make().to(memory_format=torch.channels_last)
        return by_hand(model, partial(SGD, fused=True), batches, device, epochs=3, bf16=True, compiled=compiled) / batch

    def by(how: str) -> float:
        data = ("dataset=bench_images", f"dataset.count={count}", f"dataset.size={size.pixels}")
        model = ("model=torchvision", f"model.arch={size.arch}", "model.image_size=null")
        optimizer = ("optimizer=sgd", "optimizer.momentum=0.9", f"train.batch_size={batch}", "train.epochs=3")
        transforms = (f"transform.train={TRANSFORMS}", f"transform.eval={TRANSFORMS}", f"device={device}")
        where = ("device.precision=bf16", "device.channels_last=true", f"device.compile={how}")
        return _run.train(*data, *MINIMAL, *model, *optimizer, *transforms, *where).later_epoch

    def plain() -> float:
        fp32 = partial(gathered, inputs, targets, batch, channels_last=False)
        return tutorial(network(), SGD, fp32, device, epochs=2) / batch

    cases: dict[str, Case] = {"by hand": partial(hand, network)}
    if compiled:
        cases["ptrun compile=model"] = partial(by, "model")
    else:
        cases["ptrun compile=none"] = partial(by, "none")
        cases["ptrun compile=step"] = partial(by, "step")
        cases["tutorial, fp32, data on the device"] = plain
        if is_installed("timm"):
            import timm

            cases["by hand, model of timm"] = partial(hand, partial(timm.create_model, size.arch, num_classes=10))
        if is_installed("lightning"):
            cases["Lightning, bf16-mixed"] = partial(_lightning_large, network, SGD, batches, options)
    title = f"{size.arch}, {size.pixels}x{size.pixels}, batches of {batch}, bf16, channels last"
    title += ", compiled" if compiled else ""
    report.compare(title, alternate(cases, min(options.rounds, 2), warm_up=False), per_second("images"), "by hand")


def _lightning_large(
    network: Callable[[], nn.Module],
    optimizer: MakeOptimizer,
    batches: Callable[[], Iterator[PairOf]],
    options: Options,
) -> float:
    """Return the seconds per image of a default Trainer with its own bf16, on batches that are on the device."""
    steps = options.size.arch_steps
    precision = "bf16-mixed" if options.on_gpu else "32-true"
    model = network().to(memory_format=torch.channels_last)
    loader = DataLoader(list(batches()), batch_size=None)
    return lightning(model, optimizer, loader, steps, options.device, precision=precision) / options.size.arch_batch


def cifar10_steps(report: Report, options: Options) -> None:
    """Compare a step of the recipe `cifar10_fast`, batch and augmentation included, by precision and compile."""
    if options.cifar10 is None:
        report.note("the steps of experiment=cifar10_fast are left out: they need --cifar10 FILE.")
        return
    cases: dict[str, Case] = {}
    settings = ("experiment=cifar10_fast", *_gpu_runs.dataset(options.cifar10), f"device={options.device}")
    for precision in ("fp32", "bf16"):
        for how in ("none", "step"):
            epochs = _run.Epochs(*settings, f"device.precision={precision}", f"device.compile={how}")
            cases[f"{precision}, compile={how}"] = epochs
    times = alternate(cases, options.rounds)
    report.compare("experiment=cifar10_fast, a step of 1024 images", times, MS_PER_STEP, "fp32, compile=none")


def cifar10_fast(report: Report, options: Options) -> None:
    """Report accuracy and seconds of the recipe `cifar10_fast` over seeds, where the data are."""
    if options.cifar10 is None:
        report.note(
            "experiment=cifar10_fast is left out: it needs --cifar10 FILE.npz (x_train, y_train, x_test, y_test) "
            "or a FOLDER with cifar-10-batches-py."
        )
        return
    settings = ("experiment=cifar10_fast", *_gpu_runs.dataset(options.cifar10), f"device={options.device}")
    larger = ("split.val_fraction=0.02", "train.val_every_epochs=100")
    variants = {
        "as it is": (),
        "on 49,000 images, validated once": larger,
        "on 49,000 images, validated once, 12 epochs": (*larger, "train.epochs=12"),
    }
    for name, more in variants.items():
        runs = [_gpu_runs.recipe(TARGET_ACCURACY, *settings, *more, f"seed={seed}") for seed in range(options.seeds)]
        table = f"experiment=cifar10_fast, {name}, {len(runs)} seeds"
        report.number(table, "test accuracy, mean", SHARE, statistics.mean(run.test_accuracy for run in runs))
        report.note(f"{table}: test accuracies {', '.join(f'{run.test_accuracy:.4f}' for run in runs)}")
        report.number(table, "test accuracy, least", SHARE, min(run.test_accuracy for run in runs))
        report.number(table, "test accuracy, most", SHARE, max(run.test_accuracy for run in runs))
        report.number(table, "training, median", SECONDS, statistics.median(run.training_seconds for run in runs))
        report.number(table, "training, longest", SECONDS, max(run.training_seconds for run in runs))
        reached = [run.seconds_to for run in runs if run.seconds_to is not None]
        report.note(
            f"{table}: {len(reached)} of {len(runs)} runs had a validation accuracy of {TARGET_ACCURACY:.0%} or more."
        )
        if reached:
            report.number(table, "seconds to that validation, median", SECONDS, statistics.median(reached))


TABLES: dict[str, Callable[[Report, Options], None]] = {
    "parity": parity,
    "resume": resume,
    "small_step": small_step,
    "convnet": convnet,
    "large": partial(large, compiled=False),
    "cifar10_steps": cifar10_steps,
    "cifar10_fast": cifar10_fast,
    "large_compiled": partial(large, compiled=True),
}


def measure(report: Report, arguments: argparse.Namespace) -> int:
    """Measure the tables of `--only` until the time is over, and save each before the next. Returns how many failed."""
    size = QUICK if arguments.quick else FULL
    table_options = Options(
        arguments.device, size, arguments.rounds, arguments.cifar10, 1 if arguments.quick else arguments.seeds
    )
    start, failed = time.monotonic(), 0
    for name in arguments.only or [name for name in TABLES if name != "large_compiled"]:
        if time.monotonic() - start > 60 * arguments.minutes:
            report.note(f"{name} is left out: {arguments.minutes:g} minutes are over (--minutes).")
            continue
        first_row = len(report.rows)
        try:
            TABLES[name](report, table_options)
        except Exception:  # noqa: BLE001 (the other tables do not need this one)
            failed += 1
            report.note(f"{name} failed:\n{traceback.format_exc()}")
        report.write(arguments.csv)
        if arguments.out is not None:
            report.write(arguments.out / f"{name}.csv", since=first_row)
    return failed


def main() -> None:
    """Measure and print the tables."""
    arguments = parser(__doc__.splitlines()[0], rounds=3, threads=None)
    arguments.add_argument("--device", choices=("cuda", "cpu"), help="where to measure (none: cuda)")
    arguments.add_argument(
        "--cifar10", type=Path, metavar="PATH", help=".npz file of arrays, or folder that holds cifar-10-batches-py"
    )
    arguments.add_argument("--seeds", type=int, default=5, help="runs of each recipe")
    arguments.add_argument("--minutes", type=float, default=6.0, help="start no further table after this time")
    only = f"tables to measure, of {', '.join(TABLES)} (none: all but large_compiled)"
    arguments.add_argument("--only", nargs="+", choices=TABLES, metavar="TABLE", help=only)
    arguments.add_argument(
        "--out", type=Path, metavar="FOLDER", help="also write the rows of each table to a file there"
    )
    options = read(arguments)
    if options.device is None and not torch.cuda.is_available():
        print("There is no CUDA device here, so nothing was measured. Try the script with `--device cpu --quick`.")
        return
    options.device = options.device or "cuda"
    if options.threads:
        torch.set_num_threads(options.threads)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "the CPU"
    version = f", CUDA {torch.version.cuda}" if options.device == "cuda" else ""
    report = Report(f"on {name}{version}", machine_line(options.threads), options.quick)
    if not is_installed("lightning"):
        report.note("Lightning is not installed (pip install lightning), so its rows are absent.")
    if measure(report, options):
        sys.exit(1)


if __name__ == "__main__":
    main()
