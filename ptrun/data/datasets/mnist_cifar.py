"""The classic image sets mnist, fashion_mnist, cifar10 and cifar100, downloaded by torchvision when they are absent.

Files that are there are read without network and without torchvision. The official test set is the test part; val
is cut from the official training set.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.division import divide
from ptrun.data.features.labels import encode
from ptrun.data.formats.idx_and_cifar import read_batch, read_idx
from ptrun.data.partition import Indices, record
from ptrun.data.samples import Given, Samples
from ptrun.data.split_settings import DEFAULT_SPLIT, SplitSettings
from ptrun.data.splits import TensorSplit
from ptrun.errors import DataError, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CIFAR10_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))


@dataclass(frozen=True)
class _Samples:
    """Images uint8 [N, C, H, W] and their classes int64 [N]."""

    images: NDArray[np.uint8]
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class _Source:
    """Files of a data set: the name of its class in torchvision, and the folder below `root` where that puts them."""

    torchvision_name: str
    folder: str
    files: Sequence[str]
    root: str
    download: bool


@datasets.register
def mnist(
    *,
    fitted: Mapping[str, Any] | None = None,
    root: str = "data",
    download: bool = True,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """70,000 handwritten digits, uint8 [1, 28, 28]. Source: LeCun et al. (1998)."""
    source = _Source("MNIST", "MNIST/raw", IDX_FILES, root, download)
    return _idx_data(source, tuple("0123456789"), splitting)


@datasets.register
def fashion_mnist(
    *,
    fitted: Mapping[str, Any] | None = None,
    root: str = "data",
    download: bool = True,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """70,000 pictures of clothes, uint8 [1, 28, 28]. Source: Xiao et al., arXiv:1708.07747."""
    source = _Source("FashionMNIST", "FashionMNIST/raw", IDX_FILES, root, download)
    return _idx_data(source, CLOTHES, splitting)


@datasets.register
def cifar10(
    *,
    fitted: Mapping[str, Any] | None = None,
    root: str = "data",
    download: bool = True,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """60,000 photos of 10 classes, uint8 [3, 32, 32]. Source: Krizhevsky (2009)."""
    files = (*CIFAR10_TRAIN, "test_batch", "batches.meta")
    folder = _ready_folder(_Source("CIFAR10", "cifar-10-batches-py", files, root, download))
    names = _cifar_names(folder / "batches.meta", "label_names")
    train = _cifar_samples([folder / name for name in CIFAR10_TRAIN], "labels", names)
    test = _cifar_samples([folder / "test_batch"], "labels", names)
    return _data(names, train, test, splitting)


@datasets.register
def cifar100(
    *,
    fitted: Mapping[str, Any] | None = None,
    root: str = "data",
    download: bool = True,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """60,000 photos of 100 classes, uint8 [3, 32, 32]. Source: Krizhevsky (2009)."""
    folder = _ready_folder(_Source("CIFAR100", "cifar-100-python", ("train", "test", "meta"), root, download))
    names = _cifar_names(folder / "meta", "fine_label_names")
    train, test = (_cifar_samples([folder / name], "fine_labels", names) for name in ("train", "test"))
    return _data(names, train, test, splitting)


def _ready_folder(source: _Source) -> Path:
    """The folder with the files, which are downloaded when one is absent. Raises DataError when that fails."""
    root = Path(source.root).expanduser().absolute()
    folder = root / source.folder
    missing = _missing(folder, source.files)
    if not missing:
        return folder
    them = "it" if len(missing) == 1 else "them"
    outcome = f"download is off (dataset.download=false), so put {them} there"
    if source.download:
        failure = _download(source.torchvision_name, root)
        if not failure and not _missing(folder, source.files):
            return folder
        outcome = f"the download failed ({failure or 'it left no files'}). Put {them} there by hand"
    raise DataError(
        f"{source.torchvision_name} needs the files {join_words(missing)} in the folder {folder}, and {outcome}, "
        "or set dataset.root to where they are."
    )


def _missing(folder: Path, files: Sequence[str]) -> list[str]:
    return [name for name in files if not (folder / name).is_file() and not (folder / f"{name}.gz").is_file()]


def _download(torchvision_name: str, root: Path) -> str:
    """Download the files and return "", or why that failed, in one line."""
    import torchvision.datasets  # Slow to import, and needed only here.

    try:
        getattr(torchvision.datasets, torchvision_name)(str(root), download=True)
    except (OSError, RuntimeError, ValueError, EOFError, tarfile.TarError) as error:
        return " ".join(str(error).split())[:300] or type(error).__name__
    return ""


def _idx_data(source: _Source, names: Sequence[str], splitting: SplitSettings) -> Data:
    folder = _ready_folder(source)
    paths = [folder / name if (folder / name).is_file() else folder / f"{name}.gz" for name in IDX_FILES]
    train, test = (_samples(read_idx(paths[i])[:, None], read_idx(paths[i + 1]), names, paths[i]) for i in (0, 2))
    return _data(names, train, test, splitting)


def _cifar_samples(paths: Sequence[Path], key: str, names: Sequence[str]) -> _Samples:
    """The samples of several files, whose labels have this key."""
    samples = []
    for path in paths:
        batch = read_batch(path)
        data = batch.get("data")
        if key not in batch or not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
            raise DataError(
                f"{path} is not a CIFAR file: it needs 'data' of 3072 bytes an image, and '{key}'. Fetch it again."
            )
        samples.append(_samples(data.reshape(-1, 3, 32, 32), np.asarray(batch[key]), names, path))
    return _Samples(np.concatenate([s.images for s in samples]), np.concatenate([s.classes for s in samples]))


def _cifar_names(path: Path, key: str) -> tuple[str, ...]:
    names = read_batch(path).get(key)
    if not names:
        raise DataError(f"{path} has no '{key}', the names of the classes. Fetch it again.")
    return tuple(map(str, names))


def _samples(images: NDArray[np.uint8], labels: NDArray[Any], names: Sequence[str], path: Path) -> _Samples:
    """Images and labels of a file. Raises DataError when they do not belong together."""
    if images.ndim != 4 or labels.ndim != 1:
        raise DataError(f"{path} does not hold images, or the file beside it no labels. Were the files mixed up?")
    if len(images) != len(labels):
        raise DataError(
            f"{path} has {len(images)} images, but there are {len(labels)} labels for them. Fetch the files again."
        )
    class_numbers = [str(i) for i in range(len(names))]
    return _Samples(images, encode([str(label) for label in labels.tolist()], class_numbers, str(path)))


def _data(names: Sequence[str], train: _Samples, test: _Samples, splitting: SplitSettings) -> Data:
    samples = Samples(
        count=len(train.classes),
        noun="images",
        name=lambda position: f"row {position}",
        classes=train.classes,
        class_names=names,
        given={"test": Given("the official test set")},
    )
    parts = divide(samples, splitting)
    splits = {"train": _rows_of(train, parts.train), "val": _rows_of(train, parts.val), "test": _all_of(test)}
    by_part = [(part, split.rows.numpy(), split.targets.numpy()) for part, split in splits.items()]
    return Data(
        spec=DataSpec(
            layout=Layout.IMAGE,
            task=Task.CLASSIFICATION,
            input_shape=train.images.shape[1:],
            num_outputs=len(names),
            class_names=tuple(names),
        ),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted={"class_names": list(names)},
        notes=parts.notes,
        record=record(parts, by_part, names, splitting),
    )


def _rows_of(samples: _Samples, rows: Indices) -> TensorSplit:
    images, classes = samples.images[rows], samples.classes[rows]
    return TensorSplit(torch.from_numpy(images), torch.from_numpy(classes), torch.from_numpy(rows))


def _all_of(samples: _Samples) -> TensorSplit:
    """All samples, without a copy."""
    images, classes = torch.from_numpy(samples.images), torch.from_numpy(samples.classes)
    return TensorSplit(images, classes, torch.arange(len(classes)))
