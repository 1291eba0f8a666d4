"""Keeps decoded, resized images so that files are read once: in memory, or in a folder that runs share.

Invariant: what is kept equals what would be read. A folder's name is a hash of all that decides its bytes (files with
their sizes and times, reader, fixed transforms, versions of the decoders), and it has that name only when it is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from ptrun.data.loading.loader import Pipeline
from ptrun.data.loading.streaming import read_in_order
from ptrun.data.splits import FileSplit, PreparedSplit, Split
from ptrun.errors import DataError, ResourceError
from ptrun.process.machine import available_memory_bytes

FORMAT = 1  # of the folder; a change of what is stored raises it
SAMPLED = 16  # images that are read to tell how much room all of them take, when they differ in size
AVAILABLE_SHARE = 0.8  # of the memory that is free, at most, that images are kept in

ProgressCallback = Callable[[str, int, int], None]  # what is done, images done, images in all


@dataclass(frozen=True)
class CachedSplit:
    """Images of several sizes after the fixed transforms, each uint8 [height, width, channels], in memory or in a mapped file."""

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
    """Images of one size after the fixed transforms, so that a batch is one indexed gather; pixels uint8 [N, height, width, channels]."""

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


def keep(split: PreparedSplit, pipeline: Pipeline | None, num_workers: int, tell: ProgressCallback) -> Split:
    """The split with its images kept as `dataset.cache` asks; the split itself where it asks for nothing.

    Raises ResourceError when memory or disk is too small, DataError for an image that can't be read.
    """
    files = split.source
    if not isinstance(files, FileSplit) or files.cache == "none" or len(files) == 0:
        return split
    one_size = pipeline is not None and pipeline.gives_one_size
    if files.cache == "ram":
        return _keep_in_memory(split, num_workers, tell, one_size)
    key = _key(files, pipeline)
    return _keep_on_disk(split, _folder(files), key, num_workers, tell, one_size)


def _keep_in_memory(split: PreparedSplit, num_workers: int, tell: ProgressCallback, one_size: bool) -> Split:
    size = _estimate(split, one_size)
    available = available_memory_bytes()
    if size > AVAILABLE_SHARE * available:
        raise ResourceError(
            f"dataset.cache=ram needs about {_shown(size)} for {len(split):,} images, and {_shown(available)} of memory are free. "
            "Use dataset.cache=disk, a transform that makes images smaller, or dataset.cache=none."
        )
    doing = f"keeping {len(split):,} decoded images in memory ({_shown(size)})"
    samples = _told(read_in_order(split, num_workers), doing, len(split), tell)
    if one_size:
        first = next(samples)
        pixels = torch.empty(len(split), *first.shape, dtype=torch.uint8)
        pixels[0] = first
        for index, sample in enumerate(samples, start=1):
            pixels[index] = sample
        return CachedImages(split, pixels)
    return CachedSplit(split, list(samples))


def _keep_on_disk(
    split: PreparedSplit, root: Path, key: str, num_workers: int, tell: ProgressCallback, one_size: bool
) -> Split:
    folder = root / key
    if not folder.is_dir():
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(
                f"dataset.cache_dir: {root} can't be made: {error.strerror or error}. Choose another folder."
            ) from error
        with _only_one(root / f"{key}.lock"):
            for left in root.glob(f"{key}.partial*"):  # of a build that was interrupted
                shutil.rmtree(left, ignore_errors=True)
            if not folder.is_dir():  # another process may have built it while this one waited
                _build(split, root, folder, num_workers, tell, one_size)
    shapes = torch.from_numpy(np.load(folder / "shapes.npy", allow_pickle=False))
    file, size = folder / "pixels.bin", int(shapes.prod(1).sum())
    if len(shapes) != len(split) or file.stat().st_size != size:
        raise DataError(f"The cache {folder} is damaged. Delete this folder; it is built again.")
    pixels = torch.from_file(str(file), shared=False, size=size, dtype=torch.uint8)
    if one_size or bool((shapes == shapes[0]).all()):
        return CachedImages(split, pixels.view(len(shapes), *shapes[0].tolist()))
    ends = shapes.prod(1).cumsum(0).tolist()
    cuts = zip([0, *ends[:-1]], ends, shapes.tolist(), strict=True)
    return CachedSplit(split, [pixels[start:end].view(shape) for start, end, shape in cuts])


def _build(
    split: PreparedSplit, root: Path, folder: Path, num_workers: int, tell: ProgressCallback, one_size: bool
) -> None:
    size, free = _estimate(split, one_size), shutil.disk_usage(root).free
    if size > free:
        raise ResourceError(
            f"dataset.cache=disk needs about {_shown(size)} in {root} for {len(split):,} images, and {_shown(free)} are free. "
            "Make room, choose another dataset.cache_dir, or use dataset.cache=none."
        )
    doing = f"keeping {len(split):,} decoded images in {folder} ({_shown(size)} of {_shown(free)} free)"
    partial = root / f"{folder.name}.partial{os.getpid()}"
    partial.mkdir()
    try:
        with (partial / "pixels.bin").open("wb") as file:
            shapes = _write(_told(read_in_order(split, num_workers), doing, len(split), tell), file)
        np.save(partial / "shapes.npy", shapes)
        about = {"images": len(split), "first": split.name(0), "last": split.name(len(split) - 1)}
        (partial / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        partial.rename(folder)
    except OSError as error:
        raise ResourceError(f"The cache {folder} can't be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(samples: Iterator[Tensor], file: BinaryIO) -> Any:
    shapes = []
    for sample in samples:
        shapes.append(tuple(sample.shape))
        file.write(sample.numpy().data)
    file.flush()
    os.fsync(file.fileno())
    return np.array(shapes, dtype=np.int64)


def _told(samples: Iterator[Tensor], doing: str, total: int, tell: ProgressCallback) -> Iterator[Tensor]:
    """The samples as contiguous [height, width, channels], told one by one."""
    tell(doing, 0, total)
    for done, sample in enumerate(samples, start=1):
        yield sample.permute(1, 2, 0).contiguous()
        tell(doing, done, total)


def _estimate(split: PreparedSplit, one_size: bool) -> int:
    """Bytes that all images take, exact when they are of one size."""
    count = 1 if one_size else min(SAMPLED, len(split))
    read = [split.read(i * len(split) // count).numel() for i in range(count)]
    return sum(read) * len(split) // count


def _key(files: FileSplit, pipeline: Pipeline | None) -> str:
    """Hash of everything that decides the kept bytes."""
    digest = hashlib.blake2b(digest_size=12)
    versions = [version(package) for package in ("torch", "torchvision", "torchcodec", "pillow")]
    digest.update(repr((FORMAT, files.reader, pipeline.fixed_transforms if pipeline else "", versions)).encode())
    for path in files.paths:
        found = os.stat(path)
        digest.update(f"{os.path.abspath(path)}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _folder(files: FileSplit) -> Path:
    if files.cache_dir:
        return Path(files.cache_dir).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ptrun"


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Let one process at a time in; the lock goes with the process, however it ends."""
    with path.open("a") as file:
        with contextlib.suppress(ImportError):  # Windows has no such lock; two builds then only do the same work
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _shown(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"
