"""Data sets of image files: `image_folder` (a folder for each class) and `image_list` (a CSV file of paths and labels).

Files are in the order of their sorted names, which does not depend on the file system. Images are read when they
are needed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.features.image_table import filled_column, read_image_table
from ptrun.data.features.labels import class_counts_text, class_names, class_variants, encode, labelled
from ptrun.data.formats.csv_dialect import Header
from ptrun.data.formats.image_file import MAX_PIXELS, SUFFIXES, ImageReader
from ptrun.data.formats.paths import existing_file, existing_folder
from ptrun.data.partition import Indices, SplitSettings, record, stratified
from ptrun.data.splits import FileSplit, first_readable
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

# Names of folders, and the part that each holds.
PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

Cache = Literal["none", "ram", "disk"]
OnBadSample = Literal["stop", "skip"]
Decode = Literal["exact", "scaled"]


@dataclass
class _Images:
    """Image files with their labels, their rows in a list if there is one, and how many files were ignored."""

    paths: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    num_hidden: int = 0
    num_other: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _ReadSettings:
    """The settings of a dataset that say how images are read and where decoded ones are cached."""

    reader: ImageReader
    cache: Cache
    cache_dir: str | None
    on_bad_sample: OnBadSample
    decode: Decode

    def __post_init__(self) -> None:
        if self.cache != "none" and self.on_bad_sample == "skip":
            raise ConfigError(
                f"dataset.on_bad_sample: 'skip' can't be used with dataset.cache={self.cache}, which keeps every "
                "image. Remove the bad files, or use dataset.cache=none."
            )


@datasets.register
def image_folder(
    *,
    root: str,
    fitted: Mapping[str, Any] | None = None,
    channels: int = 3,
    max_pixels: int = MAX_PIXELS,
    cache: Cache = "none",
    cache_dir: str | None = None,
    on_bad_sample: OnBadSample = "stop",
    decode: Decode = "exact",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Data:
    """Images in ROOT/CLASS/..., divided by the seed, or in ROOT/train|val|test/CLASS/...

    Where there is a train folder, a part without a folder is cut from it.
    Raises DataError for a folder without classes, with one class, or with an empty class.
    """
    reading = _ReadSettings(ImageReader(channels, max_pixels), cache, cache_dir, on_bad_sample, decode)
    splitting = SplitSettings(val_fraction, test_fraction, split_seed, evaluating=fitted is not None)
    folder = existing_folder(root, "dataset.root")
    names = {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
    has_parts = "train" in names and names <= set(PARTS)
    folders = {PARTS[name]: folder / name for name in sorted(names)} if has_parts else {"train": folder}
    images = {part: _images_by_class(path) for part, path in folders.items()}
    return _data(images, str(folder), reading, splitting, fitted)


@datasets.register
def image_list(
    *,
    path: str,
    fitted: Mapping[str, Any] | None = None,
    header: Header = "auto",
    delimiter: str = "auto",
    path_column: str = "path",
    label_column: str = "label",
    root: str | None = None,
    channels: int = 3,
    max_pixels: int = MAX_PIXELS,
    cache: Cache = "none",
    cache_dir: str | None = None,
    on_bad_sample: OnBadSample = "stop",
    decode: Decode = "exact",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Data:
    """Images named by a CSV file; a relative path starts at `root`, or at the folder of the CSV file.

    Raises DataError naming the row of a file that does not exist.
    """
    reading = _ReadSettings(ImageReader(channels, max_pixels), cache, cache_dir, on_bad_sample, decode)
    splitting = SplitSettings(val_fraction, test_fraction, split_seed, evaluating=fitted is not None)
    list_path = existing_file(path, "dataset.path")
    start = existing_folder(root, "dataset.root") if root else list_path.parent
    file = read_image_table(list_path, start, header, delimiter)
    names, labels = filled_column(file, path_column, "path"), filled_column(file, label_column, "label")
    paths = [str(start / Path(name).expanduser()) for name in names]
    images = _images_of_list(paths, labels, file.source, file.rows, fitted)
    return _data({"train": images}, file.source, reading, splitting, fitted)


def image_list_from(
    paths: Sequence[str],
    labels: Sequence[str],
    *,
    fitted: Mapping[str, Any] | None = None,
    channels: int = 3,
    max_pixels: int = MAX_PIXELS,
    cache: Cache = "none",
    cache_dir: str | None = None,
    on_bad_sample: OnBadSample = "stop",
    decode: Decode = "exact",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    source: str = "the list",
    rows: Sequence[int] = (),
) -> Data:
    """Images from a list of paths and a list of labels of the same length, for plugins that find the files.

    `source` and `rows` say in messages where each path comes from; without them it is the position in the list, from 0.
    Raises DataError for lists of different lengths and for files that do not exist.
    """
    reading = _ReadSettings(ImageReader(channels, max_pixels), cache, cache_dir, on_bad_sample, decode)
    splitting = SplitSettings(val_fraction, test_fraction, split_seed, evaluating=fitted is not None)
    images = _images_of_list(paths, labels, source, rows, fitted)
    return _data({"train": images}, source, reading, splitting, fitted)


def _images_of_list(
    paths: Sequence[str], labels: Sequence[str], source: str, rows: Sequence[int], fitted: Mapping[str, Any] | None
) -> _Images:
    if not paths or len(paths) != len(labels):
        raise DataError(f"{source} has {len(paths)} paths but {len(labels)} labels; each path needs one label.")
    kept, notes = labelled(list(map(str, labels)), fitted["class_names"] if fitted else ())
    rows = rows or range(len(paths))
    return _Images([str(paths[i]) for i in kept], [str(labels[i]) for i in kept], [rows[i] for i in kept], notes=notes)


def _images_by_class(folder: Path) -> _Images:
    """The images in the class folders of a folder."""
    images = _Images()
    empty = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            images.num_hidden += 1
        elif not entry.is_dir():
            images.num_other += 1
        else:
            count = _add_images(entry, images)
            images.labels += [entry.name] * count
            empty += [] if count else [entry.name]
    if empty:
        raise DataError(
            f"{folder}: the class folder {join_words(map(repr, empty), 8)} has no image "
            f"({', '.join(sorted(SUFFIXES))}). Fill or remove it."
        )
    if not images.paths:
        raise DataError(
            f"{folder} has no class folders. Give each class a folder with its images, such as {folder}/cat/1.jpg."
        )
    return images


def _add_images(folder: Path, images: _Images) -> int:
    """Add the image files in a folder and in all folders below it; returns their number."""
    before = len(images.paths)
    for parent, folders, names in os.walk(folder):
        images.num_hidden += sum(name.startswith(".") for name in [*folders, *names])
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        visible = sorted(name for name in names if not name.startswith("."))
        image_names = [name for name in visible if os.path.splitext(name)[1].lower() in SUFFIXES]
        images.num_other += len(visible) - len(image_names)
        images.paths += [os.path.join(parent, name) for name in image_names]
    return len(images.paths) - before


def _data(
    images: Mapping[str, _Images],
    source: str,
    reading: _ReadSettings,
    splitting: SplitSettings,
    fitted: Mapping[str, Any] | None,
) -> Data:
    """The data set of images by part; parts that are absent are cut from train."""
    train = images["train"]
    names = tuple(fitted["class_names"]) if fitted else class_names(train.labels, source)
    codes = {part: encode(files.labels, names, f"{source} ({part})", files.rows) for part, files in images.items()}
    rows = {part: np.arange(len(files.paths)) for part, files in images.items()}
    notes: tuple[str, ...] = ()
    if not {"val", "test"} <= set(images):
        cut, notes = _cut_from_train(codes["train"], names, splitting, set(images))
        rows |= cut
    splits = {
        part: _split(images.get(part, train), codes.get(part, codes["train"]), rows[part], reading, source)
        for part in ("train", "val", "test")
    }
    ready = [part for part in ("val", "test") if part in images]
    method = "folders" if len(ready) == 2 else "stratified"
    by_part = [(part, rows[part], split.targets.numpy()) for part, split in splits.items()]
    return Data(
        spec=DataSpec(
            layout=Layout.IMAGE,
            task=Task.CLASSIFICATION,
            input_shape=tuple(first_readable(splits.values()).shape),
            num_outputs=len(names),
            class_names=names,
        ),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted={"class_names": list(names)},
        notes=(*_notes(list(images.values()), names), *notes),
        record=record(method, by_part, names, splitting.split_seed) | {"ready": ready},
    )


def _cut_from_train(
    codes: NDArray[np.int64], names: Sequence[str], splitting: SplitSettings, ready: set[str]
) -> tuple[dict[str, Indices], tuple[str, ...]]:
    """The rows of train, and of those of val and test that are not ready because they have no folder."""
    if "val" in ready:  # Only test is missing, so the one part that is cut from train becomes the test part.
        parts = stratified(codes, names, replace(splitting, val_fraction=splitting.test_fraction, test_fraction=0))
        return {"train": parts.train, "test": parts.val}, parts.notes
    if "test" in ready:
        parts = stratified(codes, names, replace(splitting, test_fraction=0))
        return {"train": parts.train, "val": parts.val}, parts.notes
    parts = stratified(codes, names, splitting)
    return {"train": parts.train, "val": parts.val, "test": parts.test}, parts.notes


def _split(images: _Images, codes: NDArray[np.int64], rows: Indices, reading: _ReadSettings, source: str) -> FileSplit:
    paths = [images.paths[i] for i in rows]
    list_rows = [images.rows[i] for i in rows] if images.rows else []
    return FileSplit(
        paths,
        torch.from_numpy(codes[rows]),
        reading.reader,
        _file_sizes(paths, list_rows, source),
        source,
        list_rows,
        cache=reading.cache,
        cache_dir=reading.cache_dir,
        on_bad_sample=reading.on_bad_sample,
        decode=reading.decode,
    )


def _file_sizes(paths: Sequence[str], rows: Sequence[int], source: str) -> list[int]:
    """Size of each file in bytes. Raises DataError for one that does not exist."""
    sizes = []
    for i, path in enumerate(paths):
        try:
            sizes.append(os.stat(path).st_size)
        except OSError as error:
            location = f" ({source}, row {rows[i]})" if rows else ""
            raise DataError(f"{path} can't be found{location}: {error.strerror}.") from error
    return sizes


def _notes(images: Sequence[_Images], names: Sequence[str]) -> list[str]:
    hidden, other = (sum(counts) for counts in zip(*((i.num_hidden, i.num_other) for i in images), strict=True))
    notes = [note for files in images for note in files.notes]
    notes += [f"Ignored {hidden} hidden files or folders."] if hidden else []
    notes += [f"Ignored {other} files that are not named like images."] if other else []
    counts = Counter(label for files in images for label in files.labels)
    return [*notes, f"{len(names)} classes: {class_counts_text(counts, names)}.", *class_variants(counts)]
