"""Data sets of image files: `image_folder` (class folders) and `image_list` (paths and labels).

Invariant: the order of the files is that of their sorted names, whatever the file system says; a file is
listed in one part only; images are read when they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.features.labels import class_names, encode
from ptrun.data.formats.csv_file import read_csv
from ptrun.data.formats.image_file import MAX_PIXELS, SUFFIXES, ImageReader
from ptrun.data.formats.paths import existing_file, existing_folder
from ptrun.data.partition import record, stratified
from ptrun.data.splits import FileSplit, first_readable
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

Cache = Literal["none", "ram", "disk"]
OnBadSample = Literal["stop", "skip"]
Decode = Literal["exact", "scaled"]


@dataclass
class _Found:
    """Image files with their labels, and what was passed over."""

    paths: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    hidden: int = 0
    foreign: int = 0


@dataclass(frozen=True)
class _Reading:
    """How images are read, and where they are kept once they are decoded."""

    reader: ImageReader
    cache: Cache
    cache_dir: str | None
    on_bad_sample: OnBadSample
    decode: Decode

    def __post_init__(self) -> None:
        if self.cache != "none" and self.on_bad_sample == "skip":
            raise ConfigError(
                f"dataset.on_bad_sample: 'skip' can't be used with dataset.cache={self.cache}, which keeps every image. "
                "Remove the bad files, or use dataset.cache=none."
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
    """Images in ROOT/CLASS/..., cut by the seed, or in ROOT/train|val|test/CLASS/...; parts that are absent are cut from train.

    Raises DataError for a folder without classes, with one class, or with an empty class.
    """
    folder = existing_folder(root, "dataset.root")
    inner = {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
    ready = {PARTS[name]: folder / name for name in sorted(inner)} if "train" in inner and inner <= set(PARTS) else {}
    found = {part: _classes(path) for part, path in (ready or {"train": folder}).items()}
    return _data(
        found,
        _Reading(ImageReader(channels, max_pixels), cache, cache_dir, on_bad_sample, decode),
        {"val_fraction": val_fraction, "test_fraction": test_fraction, "split_seed": split_seed},
        fitted,
        str(folder),
    )


@datasets.register
def image_list(
    *,
    path: str,
    fitted: Mapping[str, Any] | None = None,
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
    file = read_csv(existing_file(path, "dataset.path"))
    names = file.column(path_column, "dataset.path_column")
    labels = file.column(label_column, "dataset.label_column")
    for kind, column, cells in (("path", path_column, names), ("label", label_column, labels)):
        if "" in cells:
            raise DataError(
                f"{file.source}, row {file.rows[cells.index('')]}: the {kind} (column '{column}') is empty."
            )
    start = existing_folder(root, "dataset.root") if root else Path(file.source).parent
    return image_list_from(
        [str(start / Path(name).expanduser()) for name in names],
        labels,
        fitted=fitted,
        channels=channels,
        max_pixels=max_pixels,
        cache=cache,
        cache_dir=cache_dir,
        on_bad_sample=on_bad_sample,
        decode=decode,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        split_seed=split_seed,
        source=file.source,
        rows=file.rows,
    )


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
    """Images from a list of paths and a list of labels of the same length.

    `source` and `rows` say in messages where each path comes from; without them it is the position in the list, from 0.
    Raises DataError for lists of different lengths and for files that do not exist.
    """
    if not paths or len(paths) != len(labels):
        raise DataError(f"{source} has {len(paths)} paths but {len(labels)} labels; each path needs one label.")
    found = _Found(list(map(str, paths)), list(map(str, labels)), list(rows) or list(range(len(paths))))
    cut = {"val_fraction": val_fraction, "test_fraction": test_fraction, "split_seed": split_seed}
    return _data(
        {"train": found},
        _Reading(ImageReader(channels, max_pixels), cache, cache_dir, on_bad_sample, decode),
        cut,
        fitted,
        source,
    )


def _classes(folder: Path) -> _Found:
    found, empty = _Found(), []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            found.hidden += 1
        elif not entry.is_dir():
            found.foreign += 1
        else:
            before = len(found.paths)
            _images(entry, found)
            found.labels += [entry.name] * (len(found.paths) - before)
            empty += [entry.name] if len(found.paths) == before else []
    if empty:
        raise DataError(
            f"{folder}: the class folder {join_words(map(repr, empty), 8)} has no image ({', '.join(sorted(SUFFIXES))}). Fill or remove it."
        )
    if not found.paths:
        raise DataError(
            f"{folder} has no class folders. Give each class a folder with its images, such as {folder}/cat/1.jpg."
        )
    return found


def _images(folder: Path, found: _Found) -> None:
    for parent, folders, names in os.walk(folder):
        found.hidden += sum(name.startswith(".") for name in [*folders, *names])
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        visible = sorted(name for name in names if not name.startswith("."))
        images = [name for name in visible if os.path.splitext(name)[1].lower() in SUFFIXES]
        found.foreign += len(visible) - len(images)
        found.paths += [os.path.join(parent, name) for name in images]


def _data(
    found: Mapping[str, _Found],
    reading: _Reading,
    cut: Mapping[str, Any],
    fitted: Mapping[str, Any] | None,
    source: str,
) -> Data:
    # The file that is in train before val and test are cut from it.
    whole = found["train"]
    names = tuple(fitted["class_names"]) if fitted else class_names(whole.labels, source)
    codes = {part: encode(one.labels, names, f"{source} ({part})", one.rows) for part, one in found.items()}
    rows = {part: np.arange(len(one.paths)) for part, one in found.items()}
    if not {"val", "test"} <= set(found):
        rows |= _cut(codes["train"], names, cut, found, fitted is not None)
    splits = {
        part: _split(found.get(part, whole), codes.get(part, codes["train"]), rows[part], reading, source)
        for part in ("train", "val", "test")
    }
    size = first_readable(splits.values()).shape
    told = [(part, rows[part], split.targets.numpy()) for part, split in splits.items()]
    ready = [part for part in ("val", "test") if part in found]
    return Data(
        spec=DataSpec(
            layout=Layout.IMAGE,
            task=Task.CLASSIFICATION,
            input_shape=tuple(size),
            num_outputs=len(names),
            class_names=names,
        ),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted={"class_names": list(names)},
        notes=tuple(_notes(found)),
        record=record("folders" if len(ready) == 2 else "stratified", told, names, cut["split_seed"])
        | {"ready": ready},
    )


def _cut(
    codes: NDArray[np.int64], names: Sequence[str], cut: Mapping[str, Any], found: Mapping[str, Any], evaluating: bool
) -> dict[str, NDArray[np.int64]]:
    """Cut those of val and test from train that have no folder of their own."""
    if "val" in found:  # Only test is missing: the single held-out part of the cut is the test part.
        parts = stratified(
            codes,
            names,
            val_fraction=cut["test_fraction"],
            test_fraction=0,
            split_seed=cut["split_seed"],
            evaluating=evaluating,
        )
        return {"train": parts.train, "test": parts.val}
    test_fraction = 0.0 if "test" in found else cut["test_fraction"]
    parts = stratified(
        codes,
        names,
        val_fraction=cut["val_fraction"],
        test_fraction=test_fraction,
        split_seed=cut["split_seed"],
        evaluating=evaluating,
    )
    return {"train": parts.train, "val": parts.val} | ({} if "test" in found else {"test": parts.test})


def _split(
    found: _Found, codes: NDArray[np.int64], rows: NDArray[np.int64], reading: _Reading, source: str
) -> FileSplit:
    paths = [found.paths[i] for i in rows]
    places = [found.rows[i] for i in rows] if found.rows else []
    sizes, targets = _sizes(paths, places, source), torch.from_numpy(codes[rows])
    how = (reading.cache, reading.cache_dir, reading.on_bad_sample, reading.decode)
    return FileSplit(paths, targets, reading.reader, sizes, source, places, *how)


def _sizes(paths: Sequence[str], rows: Sequence[int], source: str) -> list[int]:
    sizes = []
    for i, path in enumerate(paths):
        try:
            sizes.append(os.stat(path).st_size)
        except OSError as error:
            place = f" ({source}, row {rows[i]})" if rows else ""
            raise DataError(f"{path} can't be found{place}: {error.strerror}.") from error
    return sizes


def _notes(found: Mapping[str, _Found]) -> list[str]:
    hidden, foreign = (sum(getattr(one, kind) for one in found.values()) for kind in ("hidden", "foreign"))
    notes = [f"Passed over {hidden} hidden files or folders."] if hidden else []
    return notes + ([f"Passed over {foreign} files that are not named like images."] if foreign else [])
