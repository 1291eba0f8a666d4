"""The classic image sets mnist, fashion_mnist, cifar10 and cifar100, fetched by torchvision when they are absent.

Invariant: files that are there are used without network and without torchvision; the official test set is the
test part, and val is cut from the official training set.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.features.labels import encode
from ptrun.data.formats.idx_and_cifar import read_batch, read_idx
from ptrun.data.partition import record, stratified
from ptrun.data.splits import TensorSplit
from ptrun.errors import DataError, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

Sample = tuple[NDArray[np.uint8], NDArray[np.int64]]
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@datasets.register
def mnist(
    *,
    fitted: Mapping[str, Any] | None = None,
    root: str = "data",
    download: bool = True,
    val_fraction: float = 0.1,
    split_seed: int = 0,
) -> Data:
    """70,000 handwritten digits, uint8 [1, 28, 28]. Source: LeCun et al. (1998)."""
    return _idx("MNIST", tuple("0123456789"), root, download, val_fraction, split_seed, fitted is not None)


@datasets.register
def fashion_mnist(
    *,
    fitted: Mapping[str, Any] | None = None,
    root: str = "data",
    download: bool = True,
    val_fraction: float = 0.1,
    split_seed: int = 0,
) -> Data:
    """70,000 pictures of clothes, uint8 [1, 28, 28]. Source: Xiao et al., arXiv:1708.07747."""
    return _idx("FashionMNIST", CLOTHES, root, download, val_fraction, split_seed, fitted is not None)


@datasets.register
def cifar10(
    *,
    fitted: Mapping[str, Any] | None = None,
    root: str = "data",
    download: bool = True,
    val_fraction: float = 0.1,
    split_seed: int = 0,
) -> Data:
    """60,000 photos of 10 classes, uint8 [3, 32, 32]. Source: Krizhevsky (2009)."""
    files = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]
    folder = _ready("CIFAR10", Path("cifar-10-batches-py"), files, root, download)
    names = _cifar_names(folder / "batches.meta", "label_names")
    train = _cifar([folder / name for name in files[:5]], "labels", names)
    return _data(
        names, train, _cifar([folder / "test_batch"], "labels", names), val_fraction, split_seed, fitted is not None
    )


@datasets.register
def cifar100(
    *,
    fitted: Mapping[str, Any] | None = None,
    root: str = "data",
    download: bool = True,
    val_fraction: float = 0.1,
    split_seed: int = 0,
) -> Data:
    """60,000 photos of 100 classes, uint8 [3, 32, 32]. Source: Krizhevsky (2009)."""
    folder = _ready("CIFAR100", Path("cifar-100-python"), ["train", "test", "meta"], root, download)
    names = _cifar_names(folder / "meta", "fine_label_names")
    train, test = (_cifar([folder / name], "fine_labels", names) for name in ("train", "test"))
    return _data(names, train, test, val_fraction, split_seed, fitted is not None)


def _ready(kind: str, inner: Path, files: Sequence[str], root: str, download: bool) -> Path:
    """Return the folder with the files, fetching them when one is absent. Raises DataError when that fails."""
    base = Path(root).expanduser().absolute()
    folder = base / inner
    missing = _missing(folder, files)
    if not missing:
        return folder
    outcome = f"download is off (dataset.download=false), so put {'it' if len(missing) == 1 else 'them'} there"
    if download:
        failure = _download(kind, base)
        if not failure and not _missing(folder, files):
            return folder
        outcome = f"the download failed ({failure or 'it left no files'}). Put {'it' if len(missing) == 1 else 'them'} there by hand"
    raise DataError(
        f"{kind} needs the files {join_words(missing)} in the folder {folder}, and {outcome}, or set dataset.root to where they are."
    )


def _missing(folder: Path, files: Sequence[str]) -> list[str]:
    return [name for name in files if not (folder / name).is_file() and not (folder / f"{name}.gz").is_file()]


def _download(kind: str, base: Path) -> str:
    """Fetch the files and return "", or why that failed in one line."""
    import torchvision.datasets  # Slow to import, and needed only here.

    try:
        getattr(torchvision.datasets, kind)(str(base), download=True)
    except (OSError, RuntimeError, ValueError, EOFError, tarfile.TarError) as error:
        return " ".join(str(error).split())[:300] or type(error).__name__
    return ""


def _idx(
    kind: str, names: Sequence[str], root: str, download: bool, val_fraction: float, split_seed: int, evaluating: bool
) -> Data:
    folder = _ready(kind, Path(kind, "raw"), IDX_FILES, root, download)
    found = [folder / name if (folder / name).is_file() else folder / f"{name}.gz" for name in IDX_FILES]
    train, test = (_pair(read_idx(found[i])[:, None], read_idx(found[i + 1]), names, found[i]) for i in (0, 2))
    return _data(names, train, test, val_fraction, split_seed, evaluating)


def _cifar(paths: Sequence[Path], key: str, names: Sequence[str]) -> Sample:
    samples = []
    for path in paths:
        batch = read_batch(path)
        data = batch.get("data")
        if key not in batch or not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
            raise DataError(
                f"{path} is not a CIFAR file: it needs 'data' of 3072 bytes an image, and '{key}'. Fetch it again."
            )
        samples.append(_pair(data.reshape(-1, 3, 32, 32), np.asarray(batch[key]), names, path))
    return np.concatenate([images for images, _ in samples]), np.concatenate([classes for _, classes in samples])


def _cifar_names(path: Path, key: str) -> tuple[str, ...]:
    names = read_batch(path).get(key)
    if not names:
        raise DataError(f"{path} has no '{key}', the names of the classes. Fetch it again.")
    return tuple(map(str, names))


def _pair(images: NDArray[np.uint8], labels: NDArray[Any], names: Sequence[str], path: Path) -> Sample:
    if images.ndim != 4 or labels.ndim != 1:
        raise DataError(f"{path} does not hold images, or the file beside it no labels. Were the files mixed up?")
    if len(images) != len(labels):
        raise DataError(
            f"{path} has {len(images)} images, but there are {len(labels)} labels for them. Fetch the files again."
        )
    known = [str(i) for i in range(len(names))]
    return images, encode([str(label) for label in labels.tolist()], known, str(path))


def _data(
    names: Sequence[str], train: Sample, test: Sample, val_fraction: float, split_seed: int, evaluating: bool
) -> Data:
    images, classes = train
    parts = stratified(
        classes, names, val_fraction=val_fraction, test_fraction=0, split_seed=split_seed, evaluating=evaluating
    )
    cuts = {
        "train": (images[parts.train], classes[parts.train], parts.train),
        "val": (images[parts.val], classes[parts.val], parts.val),
        "test": (*test, np.arange(len(test[1]))),
    }
    splits = {
        part: TensorSplit(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(rows))
        for part, (x, y, rows) in cuts.items()
    }
    told = [(part, rows, y) for part, (_, y, rows) in cuts.items()]
    spec = DataSpec(
        layout=Layout.IMAGE,
        task=Task.CLASSIFICATION,
        input_shape=images.shape[1:],
        num_outputs=len(names),
        class_names=tuple(names),
    )
    return Data(
        spec=spec,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted={"class_names": list(names)},
        record=record("stratified val, official test", told, names, split_seed),
    )
