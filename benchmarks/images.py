"""Photos from a folder: images per second, from JPEG files to normalized batches of 224x224, and in a training epoch.

python benchmarks/images.py [--quick] [--csv FILE] [--rounds N] [--threads N] [--root FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import _run
import torch
from _table import Case, Report, alternate, machine_line, parser, per_second, read
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import io, transforms
from torchvision.datasets import ImageFolder

from ptrun.process.startup import keep_freed_memory

BATCH = 32  # a smoke run has fewer images, which are one batch
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
WORKERS = (0, 1, 2)
TRANSFORMS = "[{resize: {size: 256}}, {center_crop: {size: 224}}, {normalize: {mean: imagenet, std: imagenet}}]"


def make_photos(folder: Path, count: int, width: int = 500, height: int = 375) -> None:
    """Write JPEG files in two class folders: smooth random images with some grain, one in four of them landscape."""
    generator = torch.Generator().manual_seed(0)
    for i in range(count):
        size = (width, height) if i % 4 == 0 else (height, width)  # rows, columns
        coarse = torch.rand(1, 3, 12, 16, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, size, mode="bicubic")[0]
        grain = 0.04 * torch.randn(3, *size, generator=generator)
        pixels = ((smooth + grain).clamp(0, 1) * 255).to(torch.uint8)
        target = folder / ("bright" if i % 2 else "dark") / f"{i:04}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(target, quality=90)


def folder_data(root: Path, paths: set[str]) -> ImageFolder:
    """Return torchvision's dataset of the same files."""
    steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return ImageFolder(str(root), transforms.Compose(steps), is_valid_file=lambda path: path in paths, allow_empty=True)


def timed(batches: Callable[[], Iterable[Any]], count: int) -> float:
    """Seconds per image of an epoch of batches that are not used."""
    start = time.perf_counter()
    for _ in batches():
        pass
    return (time.perf_counter() - start) / count


def decode_only(decode: Callable[[str], Any], paths: list[str]) -> float:
    """Seconds per image of reading and decoding only."""
    start = time.perf_counter()
    for path in paths:
        decode(path)
    return (time.perf_counter() - start) / len(paths)


def by_pillow(path: str) -> None:
    """Decode one file to RGB."""
    with Image.open(path) as image:
        image.convert("RGB")


def by_torchvision(path: str) -> None:
    """Decode one file to RGB."""
    io.decode_jpeg(io.read_file(path), mode=io.ImageReadMode.RGB)


def overrides(root: Path, threads: int | None, workers: int, *more: str) -> tuple[str, ...]:
    """Return ptrun's settings for a folder."""
    return (
        *("dataset=image_folder", f"dataset.root={root}", "transform=imagenet", f"transform.train={TRANSFORMS}"),
        *("device=cpu", f"train.batch_size={BATCH}", f"train.num_workers={workers}"),
        *("model=torchvision", "model.arch=mobilenet_v3_small", f"device.threads={threads or 'auto'}", *more),
    )


class Epochs:
    """Epochs of ptrun's batches, one per call. The warm-up round starts the workers and fills the cache."""

    def __init__(self, *settings: str) -> None:
        self.batches = _run.built(*settings).ctx.train
        self.number = 0

    def __call__(self) -> float:
        """Seconds per image of the next epoch."""
        self.number += 1
        return timed(partial(self.batches.epoch, self.number), len(self.batches.split))


def batch_cases(root: Path, threads: int | None) -> tuple[dict[str, Case], int]:
    """Return the cases that read, prepare and stack images without training, and the number of images of an epoch."""
    settings = partial(overrides, root, threads)
    first = Epochs(*settings(0))
    split = first.batches.split
    paths = [split.name(index) for index in range(len(split))]
    data = folder_data(root, set(paths))
    cases: dict[str, Case] = {
        "decode only, Pillow": partial(decode_only, by_pillow, paths),
        "decode only, torchvision": partial(decode_only, by_torchvision, paths),
    }
    for workers in WORKERS:
        loader = DataLoader(data, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
        cases[f"tutorial, {workers} workers"] = partial(timed, partial(iter, loader), len(paths))
    cases |= {f"ptrun, {workers} workers": Epochs(*settings(workers)) if workers else first for workers in WORKERS}
    for cache in ("ram", "disk"):
        cases[f"ptrun, cache={cache}, 0 workers"] = Epochs(*settings(0, f"dataset.cache={cache}"))
    return cases, len(paths)


def large_cases(root: Path, threads: int | None) -> tuple[dict[str, Case], int]:
    """Return the cases for photos several times as large as needed, decoded in full and in reduced size."""
    settings = partial(overrides, root, threads)
    exact = Epochs(*settings(0))
    paths = [exact.batches.split.name(index) for index in range(len(exact.batches.split))]
    loader = DataLoader(folder_data(root, set(paths)), BATCH, shuffle=True)
    cases: dict[str, Case] = {
        "tutorial, 0 workers": partial(timed, partial(iter, loader), len(paths)),
        "ptrun, 0 workers": exact,
        "ptrun, decode=scaled, 0 workers": Epochs(*settings(0, "dataset.decode=scaled")),
        "ptrun, 2 workers": Epochs(*settings(2)),
        "ptrun, decode=scaled, 2 workers": Epochs(*settings(2, "dataset.decode=scaled")),
    }
    return cases, len(paths)


def difference(root: Path, threads: int | None) -> float:
    """Return the mean difference in gray levels between evaluation photos decoded in full and in reduced size."""
    photos = []
    for decode in ("exact", "scaled"):
        split = _run.built(*overrides(root, threads, 0, f"dataset.decode={decode}")).ctx.val.split
        photos.append(torch.stack([split.read(index) for index in range(len(split))]).int())
    return float((photos[0] - photos[1]).abs().float().mean())


def tutorial_epoch(root: Path, paths: set[str], workers: int) -> float:
    """Seconds per image of a training epoch of the tutorial loop."""
    from torchvision.models import mobilenet_v3_small

    data = folder_data(root, paths)
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=workers)
    model, loss_fn = mobilenet_v3_small(num_classes=2), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001)
    model.train()
    running, start = 0.0, time.perf_counter()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        running += loss.item()
    return (time.perf_counter() - start) / len(data)


def ptrun_epoch(settings: tuple[str, ...], count: int) -> float:
    """Seconds per image of a training epoch of ptrun, batches and steps alone."""
    return _run.train(*settings, "train.epochs=1", "checkpoint=none").training / count


def epoch_cases(root: Path, threads: int | None) -> dict[str, Case]:
    """Return the cases of one epoch of a small network (MobileNetV3 small), without workers and with two."""
    split = _run.built(*overrides(root, threads, 0)).ctx.train.split
    paths = {split.name(index) for index in range(len(split))}
    cases: dict[str, Case] = {}
    for workers in (0, 2):
        cases[f"tutorial, {workers} workers"] = partial(tutorial_epoch, root, paths, workers)
        cases[f"ptrun, {workers} workers"] = partial(ptrun_epoch, overrides(root, threads, workers), len(paths))
    return cases


def measure(root: Path, options: argparse.Namespace, report: Report) -> None:
    """Measure batches and a training epoch."""
    cases, count = batch_cases(root, options.threads)
    times = alternate(cases, options.rounds)
    report.compare(
        f"batches of {BATCH} from {count} files, no training", times, per_second("images"), "tutorial, 0 workers"
    )
    report.accept(times, "ptrun, 0 workers", "tutorial, 0 workers", 0.5)
    report.accept(times, "ptrun, 2 workers", "tutorial, 0 workers", 0.333)
    report.accept(times, "ptrun, cache=ram, 0 workers", "tutorial, 0 workers", 0.066)
    report.accept(times, "ptrun, cache=disk, 0 workers", "tutorial, 0 workers", 0.066)
    epochs = alternate(epoch_cases(root, options.threads), options.rounds, warm_up=not options.quick)
    report.compare("one training epoch, MobileNetV3 small", epochs, per_second("images"), "tutorial, 0 workers")


def measure_large(root: Path, options: argparse.Namespace, report: Report) -> None:
    """Measure batches of large photos."""
    cases, count = large_cases(root, options.threads)
    times = alternate(cases, options.rounds)
    report.compare(f"batches from {count} files of 1600x1200", times, per_second("images"), "tutorial, 0 workers")
    levels = difference(root, options.threads)
    report.note(f"decode=scaled changes these photos by {levels:.2f} of 255 gray levels on average.")


def main() -> None:
    """Measure and print the results."""
    arguments = parser(__doc__.splitlines()[0], rounds=5, threads=None)
    arguments.add_argument("--root", type=Path, help="a folder of class folders (none: 600 synthetic photos)")
    options = read(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    keep_freed_memory()  # as `ptrun train` does; the tutorial's batches become faster too
    report = Report("photos from a folder, to 224x224", machine_line(options.threads), options.quick)
    with tempfile.TemporaryDirectory(prefix="photos-bench-") as scratch:
        root = options.root or Path(scratch) / "photos"
        if options.root is None:
            make_photos(root, 24 if options.quick else 600)
        measure(root.resolve(), options, report)
        large = Path(scratch) / "large"
        make_photos(large, 24 if options.quick else 96, 1600, 1200)
        measure_large(large.resolve(), options, report)
    report.write(options.csv)


if __name__ == "__main__":
    main()
