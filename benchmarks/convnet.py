"""A convolutional network on 32x32 color images. The loops differ in data loading and memory format.

python benchmarks/convnet.py [--quick] [--csv FILE] [--rounds N] [--threads N] [--batch 64 128]
"""

from __future__ import annotations

import time
from functools import partial

import _run
import torch
from _images import images
from _table import MS_PER_STEP, Case, Report, Times, alternate, is_installed, machine_line, parser, read
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ptrun.models.convnet import ConvNet

NUM_CLASSES, LR = 10, 0.001
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
STREAMED = ("dataset.streamed=true", "train.num_workers=2")
EPOCHS_PER_ROUND = 5  # of runs that exist side by side, a second each, so that the machine changes little between them
TRANSFORMS = "[{normalize: {mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}}]"


class Photos(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's datasets give them: PIL images through ToTensor and Normalize."""

    def __init__(self, count: int) -> None:
        split = images(count, 32, NUM_CLASSES)
        self.photos = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in split.inputs]
        self.targets = split.targets.tolist()
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.photos[index]), self.targets[index]


def network() -> nn.Module:
    """ptrun's `convnet` with its default settings."""
    return ConvNet((3, 32, 32), (64, 128), 512, NUM_CLASSES, dropout=0.5, max_map_size=8)


def tutorial(data: Photos, batch: int) -> float:
    """Seconds per step of the loop of every introduction to PyTorch."""
    model, loss_fn = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    loader = DataLoader(data, batch_size=batch, shuffle=True)
    model.train()
    running, start = 0.0, time.perf_counter()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        running += loss.item()
    return (time.perf_counter() - start) / len(loader)


def tuned(inputs: Tensor, targets: Tensor, batch: int, *, bf16: bool = False) -> float:
    """Seconds per step of the best hand-written loop: uint8 images in memory, channels-last format, fused optimizer."""
    model, loss_fn = network().to(memory_format=torch.channels_last), nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, fused=True)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    scale, shift = 1 / (255 * std), -mean / std
    model.train()
    batches = torch.randperm(len(targets)).split(batch)
    start = time.perf_counter()
    for indices in batches:
        optimizer.zero_grad()
        pixels = inputs.index_select(0, indices).contiguous(memory_format=torch.channels_last)
        normalized = pixels.float().mul_(scale).add_(shift)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = loss_fn(model(normalized), targets[indices])
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - start) / len(batches)


def ptrun(count: int, batch: int, threads: int | None, *more: str) -> float:
    """Seconds per step of `ptrun train`, batches and steps alone."""
    return _run.train(*settings(count, batch, threads), "train.epochs=1", "checkpoint=none", *more).step


def settings(count: int, batch: int, threads: int | None) -> tuple[str, ...]:
    """Return the settings of a run that computes what the other loops compute."""
    return (
        *("dataset=bench_images", f"dataset.count={count}", "dataset.val_count=16", "model=convnet", "device=cpu"),
        *(f"transform.train={TRANSFORMS}", f"transform.eval={TRANSFORMS}", "optimizer=adamw", f"optimizer.lr={LR}"),
        *(f"train.batch_size={batch}", f"device.threads={threads or 'auto'}"),
    )


def lightning(data: Photos, batch: int) -> float:
    """Seconds per step of a default Trainer."""
    import _lightning

    module = _lightning.Module(network(), partial(torch.optim.AdamW, lr=LR))
    loader = DataLoader(data, batch_size=batch, shuffle=True)
    return _lightning.train(module, loader, 1, accelerator="cpu") / len(loader)


def measure(batch: int, steps: int, rounds: int, threads: int | None) -> Times:
    """Measure each case with batches of one size."""
    data, split = Photos(batch * steps), images(batch * steps, 32, NUM_CLASSES)
    run = partial(ptrun, batch * steps, batch, threads)
    cases: dict[str, Case] = {
        "tutorial": partial(tutorial, data, batch),
        "best by hand": partial(tuned, split.inputs, split.targets, batch),
        "best by hand, bf16": partial(tuned, split.inputs, split.targets, batch, bf16=True),
        "ptrun": run,
        "ptrun bf16": partial(run, "device.precision=bf16"),
        "ptrun streamed, 0 workers": partial(run, "dataset.streamed=true", "train.num_workers=0"),
        "ptrun streamed, 2 workers": partial(run, *STREAMED),
    }
    if is_installed("lightning"):
        cases["Lightning"] = partial(lightning, data, batch)
    return alternate(cases, rounds)


def later_epochs(batch: int, steps: int, rounds: int, threads: int | None) -> Times:
    """Measure epochs that start no workers and no kernels: three runs side by side, epoch by epoch."""
    run = settings(batch * steps, batch, threads)
    cases: dict[str, Case] = {
        "ptrun": _run.Epochs(*run),
        "ptrun streamed, 0 workers": _run.Epochs(*run, "dataset.streamed=true", "train.num_workers=0"),
        "ptrun streamed, 2 workers": _run.Epochs(*run, *STREAMED),
    }
    return alternate(cases, rounds)


def main() -> None:
    """Measure and print the results."""
    arguments = parser(__doc__.splitlines()[0], rounds=5, threads=None)
    arguments.add_argument("--batch", type=int, nargs="+", default=[64, 128], help="batch sizes")
    arguments.add_argument("--steps", type=int, default=20, help="steps of each measured epoch")
    options = read(arguments)
    steps, sizes = (2, [16]) if options.quick else (options.steps, options.batch)
    if options.threads:
        torch.set_num_threads(options.threads)
    report = Report("convnet on 32x32 color images, AdamW", machine_line(options.threads), options.quick)
    if not is_installed("lightning"):
        report.note("Lightning is not installed (pip install lightning), so its row is absent.")
    for size in sizes:
        times = measure(size, steps, options.rounds, options.threads)
        report.compare(f"batches of {size}", times, MS_PER_STEP, "tutorial")
        report.accept(times, "ptrun", "tutorial", 0.75)
        report.accept(times, "ptrun", "best by hand", 1.02)
        report.accept(times, "ptrun bf16", "tutorial", 0.45)
        later = later_epochs(size, steps, EPOCHS_PER_ROUND * options.rounds, options.threads)
        report.compare(f"batches of {size}, later epochs", later, MS_PER_STEP, "ptrun")
        report.accept(later, "ptrun streamed, 2 workers", "ptrun", 1.05)
    report.note("The first table measures first epochs, which are short and include starting the workers.")
    report.write(options.csv)


if __name__ == "__main__":
    main()
