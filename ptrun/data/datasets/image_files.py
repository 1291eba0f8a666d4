"""Data sets of image files: `image_folder` (a folder for each class) and `image_list` (a CSV file of paths and labels).

Files are in the order of their sorted names, which does not depend on the file system. Images are read when they
are needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.division import PARTS, divide, find_split_column
from ptrun.data.duplicates import Identified
from ptrun.data.features.image_table import filled_column, read_image_table
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.labels import class_names, encode, labelled, notes_on_classes
from ptrun.data.features.row_samples import times_of
from ptrun.data.formats.class_folders import LabelledFiles, images_by_part, pooled
from ptrun.data.formats.csv_dialect import Header
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.file_content import content_keys
from ptrun.data.formats.image_file import MAX_PIXELS, ImageReader
from ptrun.data.formats.image_tree import PassedOver
from ptrun.data.formats.paths import existing_file, existing_folder, file_sizes, listed_paths
from ptrun.data.partition import Indices, Parts, record
from ptrun.data.samples import Given, Samples
from ptrun.data.split_settings import DEFAULT_SPLIT, SplitSettings
from ptrun.data.splits import FileSplit, first_readable
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

Cache = Literal["none", "ram", "disk"]
OnBadSample = Literal["stop", "skip"]
Decode = Literal["exact", "scaled"]


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
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """Images in ROOT/CLASS/..., divided by the seed, or in ROOT/train|val|test/CLASS/...

    Parts are known by their names in any spelling (Training, valid). A part without a folder is cut from train.
    Raises DataError for a folder without classes, with one class, with an empty class, or of unclear structure.
    """
    reading = _ReadSettings(ImageReader(channels, max_pixels), cache, cache_dir, on_bad_sample, decode)
    folder = existing_folder(root, "dataset.root")
    images, notes = images_by_part(folder, fitted["class_names"] if fitted else ())
    if splitting.folds is not None or splitting.name in ("random", "group"):
        images = {"train": pooled(images)}
    images["train"].notes[:0] = notes
    return _data(images, str(folder), reading, splitting, fitted)


@datasets.register
def image_list(
    *,
    path: str,
    fitted: Mapping[str, Any] | None = None,
    header: Header = "auto",
    delimiter: str = "auto",
    path_column: str = "auto",
    label_column: str = "auto",
    root: str | None = None,
    channels: int = 3,
    max_pixels: int = MAX_PIXELS,
    cache: Cache = "none",
    cache_dir: str | None = None,
    on_bad_sample: OnBadSample = "stop",
    decode: Decode = "exact",
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """Images named by a CSV file; a relative path starts at `root`, or at the folder of the CSV file.

    Raises DataError naming the row of a file that does not exist.
    """
    reading = _ReadSettings(ImageReader(channels, max_pixels), cache, cache_dir, on_bad_sample, decode)
    list_path = existing_file(path, "dataset.path")
    start = existing_folder(root, "dataset.root") if root else list_path.parent
    file = read_image_table(list_path, start, header, delimiter)
    names = filled_column(file, "dataset.path_column", path_column, "path")
    labels = filled_column(file, "dataset.label_column", label_column, "label")
    paths, notes = listed_paths(names, start, file.source, file.rows)
    splitting = find_split_column(file.columns, splitting)
    images = _images_of_list(paths, labels, file.source, file.rows, fitted)
    if on_bad_sample == "skip":
        images = _that_exist(images)
    images.notes[:0] = notes
    position = {row: i for i, row in enumerate(file.rows)}
    table = file.take([position[row] for row in images.rows])  # without images that have no label
    return _data({"train": images}, file.source, reading, splitting, fitted, table)


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
    splitting: SplitSettings | None = None,
) -> Data:
    """Images from a list of paths and a list of labels of the same length, for plugins that find the files.

    `source` and `rows` say in messages where each path comes from; without them it is the position in the list, from 0.
    splitting: the group `split`, which ptrun passes to a data set with this keyword; it takes the place of the three
    settings of the same meaning.
    Raises DataError for lists of different lengths and for files that do not exist.
    """
    reading = _ReadSettings(ImageReader(channels, max_pixels), cache, cache_dir, on_bad_sample, decode)
    splitting = splitting or SplitSettings(
        val_fraction=val_fraction, test_fraction=test_fraction, seed=split_seed, evaluating=fitted is not None
    )
    images = _images_of_list(paths, labels, source, rows, fitted)
    return _data({"train": images}, source, reading, splitting, fitted)


def _images_of_list(
    paths: Sequence[str], labels: Sequence[str], source: str, rows: Sequence[int], fitted: Mapping[str, Any] | None
) -> LabelledFiles:
    if not paths or len(paths) != len(labels):
        raise DataError(f"{source} has {len(paths)} paths but {len(labels)} labels; each path needs one label.")
    kept, notes = labelled(list(map(str, labels)), fitted["class_names"] if fitted else ())
    rows = rows or range(len(paths))
    return LabelledFiles(
        [str(paths[i]) for i in kept], [str(labels[i]) for i in kept], [rows[i] for i in kept], notes=notes
    )


def _that_exist(images: LabelledFiles) -> LabelledFiles:
    """The images of a list without those that are no files."""
    exists = [os.path.exists(path) for path in images.paths]
    absent = [path for path, is_there in zip(images.paths, exists, strict=True) if not is_there]
    present = [i for i, is_there in enumerate(exists) if is_there]
    if not present or not absent:
        return images
    note = f"Left out: {len(absent):,} of {len(images.paths):,} image files can't be found: {join_words(absent, 8)}."
    paths, labels = ([column[i] for i in present] for column in (images.paths, images.labels))
    return LabelledFiles(paths, labels, [images.rows[i] for i in present], notes=[*images.notes, note])


def _data(
    images: Mapping[str, LabelledFiles],
    source: str,
    reading: _ReadSettings,
    splitting: SplitSettings,
    fitted: Mapping[str, Any] | None,
    table: CsvFile | None = None,
) -> Data:
    """The data set of images by part; parts that are absent are cut from train. table: the list of these images."""
    train = images["train"]
    names = tuple(fitted["class_names"]) if fitted else class_names(train.labels, source)
    codes = {part: encode(files.labels, names, f"{source} ({part})", files.rows) for part, files in images.items()}
    sizes = {part: file_sizes(files.paths, files.rows, source) for part, files in images.items()}
    rows = {part: np.arange(len(files.paths)) for part, files in images.items()}
    parts = _divide(images, sizes, codes, names, splitting, table)
    rows |= {part: getattr(parts, part) for part in PARTS if part == "train" or part not in images}
    files = {part: (images[part], codes[part], sizes[part]) for part in images}
    splits = {part: _split(*files.get(part, files["train"]), rows[part], reading, source) for part in PARTS}
    ready = [part for part in ("val", "test") if part in images]
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
        notes=(*_notes(list(images.values()), names), *parts.notes),
        record=record(parts, by_part, names, splitting) | {"ready": ready},
    )


def _divide(
    images: Mapping[str, LabelledFiles],
    sizes: Mapping[str, Sequence[int]],
    codes: Mapping[str, NDArray[np.int64]],
    names: Sequence[str],
    splitting: SplitSettings,
    table: CsvFile | None,
) -> Parts:
    """The parts, with notes on files that are the same."""
    keys = content_keys(
        [p for files in images.values() for p in files.paths], [s for part in sizes.values() for s in part]
    )
    ends = np.cumsum([len(files.paths) for files in images.values()])[:-1]
    identified = {
        part: Identified(part_keys, files.paths.__getitem__, codes[part])
        for (part, files), part_keys in zip(images.items(), np.split(keys, ends), strict=True)
    }
    train = identified["train"]
    samples = Samples(
        count=len(train.keys),
        noun="images",
        name=train.name,
        classes=codes["train"],
        class_names=names,
        targets=codes["train"],
        keys=train.keys,
        given={part: Given("folders", each) for part, each in identified.items() if part != "train"},
        column=partial(_folders, images["train"].paths)
        if table is None
        else lambda name, setting: table.column(name, setting).texts(),
        times=None if table is None else partial(times_of, table, settings=ColumnSettings()),
    )
    return divide(samples, splitting)


def _folders(paths: Sequence[str], name: str, setting: str) -> list[str]:
    """The folder of each image, by which images without a table can be grouped."""
    if name != "folder":
        raise DataError(f"{setting}: there is no column '{name}'. What images have in place of one is called: folder.")
    return [os.path.dirname(path) for path in paths]


def _split(
    images: LabelledFiles,
    codes: NDArray[np.int64],
    sizes: Sequence[int],
    rows: Indices,
    reading: _ReadSettings,
    source: str,
) -> FileSplit:
    paths = [images.paths[i] for i in rows]
    list_rows = [images.rows[i] for i in rows] if images.rows else []
    return FileSplit(
        paths,
        torch.from_numpy(codes[rows]),
        reading.reader,
        [sizes[i] for i in rows],
        source,
        list_rows,
        cache=reading.cache,
        cache_dir=reading.cache_dir,
        on_bad_sample=reading.on_bad_sample,
        decode=reading.decode,
    )


def _notes(images: Sequence[LabelledFiles], names: Sequence[str]) -> list[str]:
    passed_over = PassedOver()
    for files in images:
        passed_over.add(files.passed_over)
    notes = [*(note for files in images for note in files.notes), *passed_over.notes()]
    return [*notes, *notes_on_classes((label for files in images for label in files.labels), names)]
