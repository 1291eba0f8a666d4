"""New images: files, read by workers as in training, or images in memory."""

from __future__ import annotations

import glob
import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ptrun.data.features.image_table import chosen_column
from ptrun.data.formats.csv_file import read_csv, readable_csv
from ptrun.data.formats.image_file import SUFFIXES, ImageReader
from ptrun.data.formats.image_tree import PassedOver, images_below
from ptrun.data.formats.paths import listed_paths
from ptrun.data.inputs.source import Chunk
from ptrun.data.loading.loader import BatchSampler
from ptrun.data.loading.streaming import StreamingLoader
from ptrun.errors import DataError
from ptrun.transforms.pipeline import Pipeline

LIST_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".lst"})


@dataclass(frozen=True)
class ImagePreparation:
    """How images become inputs of a model.

    shape: [channels, height, width] of an input. resize: scale an image that ends in another size to that one.
    """

    pipeline: Pipeline
    shape: tuple[int, ...]
    resize: bool = False

    def fixed(self, image: Tensor, name: str) -> Tensor:
        """An image uint8 [C, H, W] after the fixed transforms. Raises DataError for one of another shape."""
        fixed = self.pipeline.fixed(image)
        if tuple(fixed.shape) == self.shape or self.pipeline.is_random:
            return fixed
        if fixed.shape[0] != self.shape[0]:
            raise DataError(f"{name} has {fixed.shape[0]} channels, but the model was trained on {self.shape[0]}.")
        if not self.resize:
            raise DataError(
                f"{name} is {fixed.shape[1]}x{fixed.shape[2]} pixels (height x width), but the model was trained on "
                f"{self.shape[1]}x{self.shape[2]}. Scale it, or let resize=true do that."
            )
        from torchvision.transforms.v2 import functional

        resized: Tensor = functional.resize(fixed, list(self.shape[1:]), antialias=True)
        return resized


@dataclass(frozen=True)
class _NewImages:
    """The images at some paths as a split without targets."""

    paths: Sequence[str]
    reader: ImageReader
    preparation: ImagePreparation

    @property
    def targets(self) -> Tensor:
        return torch.zeros(len(self.paths), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> Tensor:
        return self.preparation.fixed(self.reader(self.paths[index]), self.paths[index])

    def name(self, index: int) -> str:
        return self.paths[index]

    def fingerprint(self) -> str:
        return _digest(self.paths)


@dataclass(frozen=True)
class ImageFiles:
    """The source of image files."""

    paths: Sequence[str]
    reader: ImageReader
    preparation: ImagePreparation
    batch_size: int
    num_workers: int
    device: torch.device
    seed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.paths)

    @property
    def identity(self) -> str:
        return _digest(self.paths)

    def chunks(self, start: int) -> Iterator[Chunk]:
        if start >= len(self.paths):
            return
        images = _NewImages(self.paths, self.reader, self.preparation)
        sampler = BatchSampler(len(images), self.batch_size, shuffle=False, seed=self.seed)
        loader = StreamingLoader(
            images,
            sampler,
            self.preparation.pipeline,
            self.device,
            self.num_workers,
            self.preparation.shape,
            leaves_out_bad=True,
        )
        try:
            first = start // self.batch_size
            for number, batch in enumerate(loader.epoch(0, first), start=first):
                begin = number * self.batch_size
                names = self.paths[begin : begin + sampler.size(number)]
                bad, loader.bad_samples = loader.bad_samples, {}
                yield Chunk(names, batch.inputs, {index - begin: reason for index, reason in bad.items()})
        finally:
            loader.close()


@dataclass(frozen=True)
class ImagesInMemory:
    """The source of images uint8 [C, H, W] that are in memory, or in an array of any kind of images.

    names: of the images; () for their rows.
    convert: function of some rows of `images` and the number of the first of them, which returns images; None where
        the rows are images.
    """

    images: Any
    preparation: ImagePreparation
    batch_size: int
    names: Sequence[str] = ()
    identity: str = ""
    notes: tuple[str, ...] = ()
    convert: Callable[[Any, int], Sequence[Tensor]] | None = None

    @property
    def count(self) -> int:
        return len(self.images)

    def chunks(self, start: int) -> Iterator[Chunk]:
        for begin in range(start, len(self.images), self.batch_size):
            end = min(begin + self.batch_size, len(self.images))
            names = self.names[begin:end] or [f"row {i}" for i in range(begin, end)]
            images = self._converted_together(begin, end)
            readable: list[Tensor] = []
            problems: dict[int, str] = {}
            for position, name in enumerate(names):
                try:
                    image = self.converted(begin + position) if images is None else images[position]
                    readable.append(self.preparation.fixed(image, name))
                except DataError as error:
                    problems[position] = str(error)
            pipeline = self.preparation.pipeline
            inputs = pipeline.finish(torch.stack(readable)) if readable else torch.empty(0)
            yield Chunk(names, inputs, problems)

    def _converted_together(self, begin: int, end: int) -> Sequence[Tensor] | None:
        """Some images, which is faster than one by one; None when one of them can't be converted."""
        if self.convert is None:
            return None
        try:
            return self.convert(self.images[begin:end], begin)
        except DataError:
            return None

    def converted(self, row: int) -> Tensor:
        """An image uint8 [C, H, W]. Raises DataError for one that can't be converted."""
        if self.convert is None:
            image: Tensor = self.images[row]
            return image
        return self.convert(self.images[row : row + 1], row)[0]


def find_images(locations: Sequence[str], path_column: str = "auto") -> tuple[list[str], tuple[str, ...]]:
    """The paths of all images that the user means by files, folders, patterns or lists, and notes about them.

    A folder means its images and those of all folders below it, in the order of their sorted names. A list is a text
    file with a path in each line, or a CSV file with a column of paths. Raises DataError when one means no image.
    """
    paths: list[str] = []
    passed_over = PassedOver()
    for location in locations:
        path = Path(location).expanduser()
        if path.is_dir():
            found, others = images_below(path)
            passed_over.add(others)
        elif path.is_file():
            found = _listed(path, path_column) if path.suffix.lower() in LIST_SUFFIXES else [str(path)]
        elif len(locations) > 1 and path.suffix.lower() in SUFFIXES and not glob.has_magic(str(path)):
            found = [str(path)]  # one of several images: its row says that it is absent
        else:
            found = sorted(glob.glob(str(path), recursive=True))
        if not found:
            raise DataError(f"input: {location}: {_nothing_found(path, passed_over)}.")
        paths += found
    return paths, tuple(passed_over.notes())


def _nothing_found(path: Path, passed_over: PassedOver) -> str:
    if not path.is_dir():
        return "no file matches this pattern" if glob.has_magic(str(path)) else "there is no such file or folder"
    holds = f"; it has {passed_over.kinds_text()}" if passed_over.kinds else ""
    return f"this folder holds no image{holds} ({', '.join(sorted(SUFFIXES))})"


def named_paths(lines: Sequence[str], folder: Path, source: str) -> list[str]:
    """The paths in the lines of a list; a relative one starts at `folder`. source: the list, for messages."""
    return listed_paths([line.strip() for line in lines if line.strip()], folder, source)[0]


def paths_from_stdin() -> list[str]:
    """The paths in the lines of standard input. Raises DataError for what is no text, such as an image."""
    try:
        return named_paths(sys.stdin.readlines(), Path(), "standard input")
    except UnicodeDecodeError as error:
        raise DataError(
            "standard input is no text. It takes the paths of images, one in each line. Name a single image as "
            "input=FILE."
        ) from error


def _listed(path: Path, path_column: str) -> list[str]:
    """The paths that a list names, relative to the folder of the list."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        with readable_csv(path) as lines:
            return named_paths(list(lines), path.parent, str(path))
    file = read_csv(path)
    name = chosen_column(file, "path_column", path_column, "path")
    return named_paths(file.column(name, "path_column"), path.parent, str(path))


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode(errors="surrogateescape") + b"\0")
    return digest.hexdigest()
