"""Caches decoded and resized images, so that files are read once: in memory, or in a folder that runs share.

A cached image equals the one that would be read. The name of a folder is a hash of everything that determines its
bytes: files with their sizes and times, reader, fixed transforms, versions of the decoders. A folder gets this name
when it is complete, so that a build that was interrupted is never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from ptrun.data.loading.streaming import read_in_order
from ptrun.data.splits import FileSplit, PreparedSplit, Split
from ptrun.errors import DataError, ResourceError
from ptrun.files.lock import wait_for_lock
from ptrun.process.machine import available_memory_bytes
from ptrun.terminal.format import format_bytes
from ptrun.transforms.pipeline import Pipeline

FORMAT = 1  # of the folder; raise it when what is stored changes
ESTIMATE_SAMPLES = 16  # images that are read to estimate the size of the cache when they differ in size
MEMORY_SHARE = 0.8  # the largest part of the free memory that the cache may fill

ProgressCallback = Callable[[str, int, int], None]  # message, images done, images in all


@dataclass(frozen=True)
class CachedSplit:
    """Images of several sizes after the fixed transforms, each uint8 [height, width, channels]."""

    source: Split
    images: Sequence[Tensor]

    @property
    def targets(self) -> Tensor:
        return self.source.targets

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int) -> Tensor:
        return self.images[index].permute(2, 0, 1)

    def name(self, index: int) -> str:
        return self.source.name(index)

    def fingerprint(self) -> str:
        return self.source.fingerprint()


@dataclass(frozen=True)
class CachedImages:
    """Images of one size after the fixed transforms, uint8 [N, height, width, channels]: a batch is one gather."""

    source: Split
    pixels: Tensor

    @property
    def targets(self) -> Tensor:
        return self.source.targets

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int) -> Tensor:
        return self.pixels[index].permute(2, 0, 1)

    def gather(self, indices: Tensor) -> Tensor:
        return self.pixels.index_select(0, indices).permute(0, 3, 1, 2)

    def name(self, index: int) -> str:
        return self.source.name(index)

    def num_bytes(self) -> int:
        return self.pixels.nbytes

    def to(self, device: torch.device) -> CachedImages:
        return replace(self, pixels=self.pixels.to(device))

    def fingerprint(self) -> str:
        return self.source.fingerprint()


def cache_images(split: PreparedSplit, pipeline: Pipeline, num_workers: int, on_progress: ProgressCallback) -> Split:
    """The split with its images cached as `dataset.cache` says; the same split for "none" and for other data.

    Raises ResourceError when memory or disk is too small, DataError for an image that can't be read.
    """
    files = split.source
    if not isinstance(files, FileSplit) or files.cache == "none" or len(files) == 0:
        return split
    images = _Images(split, pipeline.gives_one_size, num_workers, on_progress)
    if files.cache == "ram":
        return _cache_in_memory(images)
    return _cache_on_disk(images, cache_folder(files) / _key(files, pipeline))


@dataclass(frozen=True)
class _Images:
    """The images to cache, and how they are read."""

    split: PreparedSplit
    one_size: bool
    num_workers: int
    on_progress: ProgressCallback

    def __len__(self) -> int:
        return len(self.split)

    def num_bytes(self) -> int:
        """Bytes of all images: exact when they have one size, else estimated from some of them."""
        count = 1 if self.one_size else min(ESTIMATE_SAMPLES, len(self))
        sizes = [self.split.read(i * len(self) // count).numel() for i in range(count)]
        return sum(sizes) * len(self) // count

    def decoded(self, message: str) -> Iterator[Tensor]:
        """All images, each contiguous [height, width, channels]; progress is reported after each."""
        self.on_progress(message, 0, len(self))
        for done, sample in enumerate(read_in_order(self.split, self.num_workers), start=1):
            yield sample.permute(1, 2, 0).contiguous()
            self.on_progress(message, done, len(self))


def _cache_in_memory(images: _Images) -> Split:
    size, free = images.num_bytes(), available_memory_bytes()
    if size > MEMORY_SHARE * free:
        raise ResourceError(
            f"dataset.cache=ram needs about {format_bytes(size)} for {len(images):,} images, and {format_bytes(free)} "
            "of memory are free. Use dataset.cache=disk, a transform that makes images smaller, or dataset.cache=none."
        )
    samples = images.decoded(f"caching {len(images):,} decoded images in memory ({format_bytes(size)})")
    if not images.one_size:
        return CachedSplit(images.split, list(samples))
    first = next(samples)
    pixels = torch.empty(len(images), *first.shape, dtype=torch.uint8)
    pixels[0] = first
    for index, sample in enumerate(samples, start=1):
        pixels[index] = sample
    return CachedImages(images.split, pixels)


def _cache_on_disk(images: _Images, folder: Path) -> Split:
    """The images of a cache folder, which is built first if there is none."""
    if not folder.is_dir():
        _make_root(folder.parent)
        with wait_for_lock(folder.with_name(f"{folder.name}.lock")):
            for partial in folder.parent.glob(f"{folder.name}.partial*"):  # of a build that was interrupted
                shutil.rmtree(partial, ignore_errors=True)
            if not folder.is_dir():  # Another process may have built it while this one waited for the lock.
                _build(images, folder)
    return _open(images, folder)


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            f"dataset.cache_dir: {root} can't be made: {error.strerror or error}. Choose another folder."
        ) from error


def _open(images: _Images, folder: Path) -> Split:
    """The images in a cache folder as a mapped file, so that they take memory only while they are used."""
    shapes = torch.from_numpy(np.load(folder / "shapes.npy", allow_pickle=False))
    file, size = folder / "pixels.bin", int(shapes.prod(1).sum())
    if len(shapes) != len(images) or file.stat().st_size != size:
        raise DataError(f"The cache {folder} is damaged. Delete this folder; it is built again.")
    pixels = torch.from_file(str(file), shared=False, size=size, dtype=torch.uint8)
    if images.one_size or bool((shapes == shapes[0]).all()):
        return CachedImages(images.split, pixels.view(len(shapes), *shapes[0].tolist()))
    ends = shapes.prod(1).cumsum(0).tolist()
    cuts = zip([0, *ends[:-1]], ends, shapes.tolist(), strict=True)
    return CachedSplit(images.split, [pixels[begin:end].view(shape) for begin, end, shape in cuts])


def _build(images: _Images, folder: Path) -> None:
    """Write all images into a temporary folder, which gets its name when it is complete."""
    size, free = images.num_bytes(), shutil.disk_usage(folder.parent).free
    if size > free:
        raise ResourceError(
            f"dataset.cache=disk needs about {format_bytes(size)} in {folder.parent} for {len(images):,} images, and "
            f"{format_bytes(free)} are free. Make room, choose another dataset.cache_dir, or use dataset.cache=none."
        )
    message = f"caching {len(images):,} decoded images in {folder} ({format_bytes(size)} of {format_bytes(free)} free)"
    partial = folder.with_name(f"{folder.name}.partial{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        with (partial / "pixels.bin").open("wb") as file:
            shapes = _write(images.decoded(message), file)
        np.save(partial / "shapes.npy", shapes)
        split = images.split
        about = {"images": len(split), "first": split.name(0), "last": split.name(len(split) - 1)}
        (partial / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        partial.rename(folder)
    except OSError as error:
        raise ResourceError(f"The cache {folder} can't be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(samples: Iterator[Tensor], file: BinaryIO) -> Any:
    """Write the pixels of all images one after the other; returns their shapes, int64 [N, 3]."""
    shapes = []
    for sample in samples:
        shapes.append(tuple(sample.shape))
        file.write(sample.numpy().data)
    file.flush()
    os.fsync(file.fileno())
    return np.array(shapes, dtype=np.int64)


def _key(files: FileSplit, pipeline: Pipeline) -> str:
    """Hash of everything that determines the cached bytes."""
    digest = hashlib.blake2b(digest_size=12)
    versions = [version(package) for package in ("torch", "torchvision", "torchcodec", "pillow")]
    digest.update(repr((FORMAT, files.reader, pipeline.fixed_transforms, versions)).encode())
    for path in files.paths:
        status = os.stat(path)
        digest.update(f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def cache_folder(files: FileSplit) -> Path:
    """The folder of all caches: that of `dataset.cache_dir`, or the user's."""
    if files.cache_dir:
        return Path(files.cache_dir).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ptrun"
