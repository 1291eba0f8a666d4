"""Augmentation: images per second of each random image transform and each shipped transform, against torchvision v2.

python benchmarks/augment.py [--quick] [--csv FILE] [--rounds N] [--threads N] [--size 32 224]
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from _images import images
from _table import Case, Report, Times, alternate, machine_line, parser, per_second, read
from torch import Tensor
from torchvision.transforms import v2

from ptrun import catalog
from ptrun.config import schema
from ptrun.config.folders import shipped_conf
from ptrun.data.loading.choose import make_loader
from ptrun.data.loading.loader import BatchSampler
from ptrun.data.splits import TensorSplit
from ptrun.errors import PtrunError
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline

assert catalog.MODULES  # importing it filled the registries

FIXED = {"center_crop", "grayscale", "normalize", "pad", "resize"}  # image transforms that do the same to every image
NORMALIZE = {"normalize": {"mean": "half", "std": "half"}}
BATCH = 64
Transforms = Sequence[Mapping[str, Any] | str]


def peers(size: int) -> dict[str, list[v2.Transform]]:
    """Return torchvision's counterparts, with the defaults of conf/image_transform and the lists of conf/transform."""
    crop, flip = v2.RandomCrop(size, padding=4), v2.RandomHorizontalFlip()
    resized, photo = (v2.RandomResizedCrop(side, antialias=True) for side in (size, 224))
    return {
        "color_jitter": [v2.ColorJitter(0.4, 0.4, 0.4)],
        "horizontal_flip": [flip],
        "rand_augment": [v2.RandAugment()],
        "random_crop": [crop],
        "random_erasing": [v2.RandomErasing()],
        "random_resized_crop": [resized],
        "rotation": [v2.RandomRotation(15.0, interpolation=v2.InterpolationMode.BILINEAR)],
        "vertical_flip": [v2.RandomVerticalFlip()],
        "transform=basic": [crop, flip],
        "transform=augment": [crop, flip, v2.RandAugment(), v2.RandomErasing(0.25)],
        "transform=imagenet": [photo, flip],
    }


def transforms_of(size: int) -> dict[str, Transforms]:
    """Return each random image transform followed by normalize, and the shipped transforms that hold a random one."""
    transforms: dict[str, Transforms] = {}
    for name in schema.names("image_transform"):
        if name not in FIXED:
            keys = schema.read(shipped_conf() / "image_transform" / f"{name}.yaml").keys.values()
            sizes = {key.name: size for key in keys if key.required}
            settings = {"padding": 4} if name == "random_crop" else sizes
            transforms[name] = [{name: settings}, NORMALIZE]
    for name in schema.names("transform"):
        items = schema.read(shipped_conf() / "transform" / f"{name}.yaml").keys["train"].default
        if isinstance(items, list) and any(_name(item) not in FIXED for item in items):
            transforms[f"transform={name}"] = [*(item for item in items if _name(item) != "normalize"), NORMALIZE]
    return transforms


def _name(item: Mapping[str, Any] | str) -> str:
    return item if isinstance(item, str) else next(iter(item))


class Epochs:
    """Epochs of ptrun's batches of images in memory, one per call."""

    def __init__(self, split: TensorSplit, transforms: Transforms) -> None:
        shape = tuple(split.inputs.shape[1:])
        spec = DataSpec(layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=shape, num_outputs=10)
        sampler = BatchSampler(len(split), BATCH, shuffle=True, seed=0)
        pipeline = build_pipeline(transforms, spec, sample_images=lambda: iter([split.inputs]))
        self.batches, self.number = make_loader(split, sampler, pipeline, torch.device("cpu"), 0), 0

    def __call__(self) -> float:
        """Seconds per image of the next epoch."""
        self.number += 1
        start = time.perf_counter()
        for _ in self.batches.epoch(self.number):
            pass
        return (time.perf_counter() - start) / len(self.batches.split)


def by_torchvision(inputs: Tensor, transforms: Sequence[v2.Transform]) -> float:
    """Seconds per image of torchvision's transforms, image by image, as a DataLoader without workers calls them."""
    finish = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    transform = v2.Compose([*transforms, *finish])
    start = time.perf_counter()
    for indices in torch.randperm(len(inputs)).split(BATCH):
        torch.stack([transform(inputs[index]) for index in indices.tolist()])
    return (time.perf_counter() - start) / len(inputs)


def measure(report: Report, size: int, count: int, rounds: int) -> None:
    """One table: every image transform, of ptrun and of torchvision in turn."""
    split, counterparts = images(count, size, 10), peers(size)
    results: dict[str, Times] = {}
    for name, transforms in transforms_of(size).items():
        try:
            cases: dict[str, Case] = {"ptrun": Epochs(split, transforms)}
        except PtrunError as error:
            report.note(f"{name} is left out: {error}")
            continue
        if name in counterparts:
            cases["torchvision"] = partial(by_torchvision, split.inputs, counterparts[name])
        results[name] = alternate(cases, rounds)
    title = f"uint8 images of {size}x{size} in memory, batches of {BATCH}, normalized at the end"
    report.pairs(title, results, per_second("images"), "ptrun", "torchvision")


def main() -> None:
    """Measure and print the results."""
    arguments = parser(__doc__.splitlines()[0], rounds=5, threads=1)
    arguments.add_argument("--size", type=int, nargs="+", default=[32, 224], help="sides of the images")
    options = read(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    report = Report("augmentation", machine_line(options.threads), options.quick)
    for size in options.size:
        count = 64 if options.quick and size < 100 else 16 if options.quick else 2048 if size < 100 else 128
        measure(report, size, count, options.rounds)
    report.write(options.csv)


if __name__ == "__main__":
    main()
