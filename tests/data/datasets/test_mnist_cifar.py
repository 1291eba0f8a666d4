"""mnist, fashion_mnist, cifar10 and cifar100 from files on disk: their parts, names and mistakes."""

from __future__ import annotations

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptrun.data.dataset import Data
from ptrun.data.datasets.mnist_cifar import cifar10, cifar100, fashion_mnist, mnist
from ptrun.data.splits import TensorSplit
from ptrun.errors import DataError

RANDOM = np.random.default_rng(0)


def idx(values: np.ndarray[Any, Any]) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def write_idx(folder: Path, packed: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    folder.mkdir(parents=True)
    labels = np.arange(60) % 10
    content = {
        "train-images-idx3-ubyte": RANDOM.integers(0, 256, (60, 28, 28)),
        "train-labels-idx1-ubyte": labels,
        "t10k-images-idx3-ubyte": RANDOM.integers(0, 256, (20, 28, 28)),
        "t10k-labels-idx1-ubyte": labels[:20],
    }
    for name, values in content.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(values)))
        else:
            (folder / name).write_bytes(idx(values))
    return content


def write_batch(path: Path, count: int, key: str, classes: int) -> np.ndarray[Any, Any]:
    pixels = RANDOM.integers(0, 256, (count, 3072)).astype(np.uint8)
    batch = {"data": pixels, key: [i % classes for i in range(count)], "batch_label": "a batch"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(batch, protocol=2))
    return pixels


def write_cifar10(root: Path) -> np.ndarray[Any, Any]:
    folder = root / "cifar-10-batches-py"
    pixels = np.concatenate([write_batch(folder / f"data_batch_{i}", 20, "labels", 10) for i in range(1, 6)])
    write_batch(folder / "test_batch", 20, "labels", 10)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"kind {i}" for i in range(10)]}, protocol=2))
    return pixels


def split(data: Data, part: str) -> TensorSplit:
    samples = getattr(data, part)
    assert isinstance(samples, TensorSplit)
    return samples


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("dataset", "kind"), [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST")])
def test_idx_sets(tmp_path: Path, dataset: Callable[..., Data], kind: str, packed: bool) -> None:
    content = write_idx(tmp_path / kind / "raw", packed)
    data = dataset(root=str(tmp_path))
    assert data.spec.input_shape == (1, 28, 28)
    train, val, test = (split(data, part) for part in ("train", "val", "test"))
    assert sorted([*train.rows.tolist(), *val.rows.tolist()]) == list(range(60))
    assert sorted(val.targets.tolist()) == list(range(10))
    assert np.array_equal(train.inputs[:, 0].numpy(), content["train-images-idx3-ubyte"][train.rows])
    assert np.array_equal(train.targets.numpy(), content["train-labels-idx1-ubyte"][train.rows])
    assert np.array_equal(test.inputs[:, 0].numpy(), content["t10k-images-idx3-ubyte"])
    assert data.record["sizes"] == {"train": 50, "val": 10, "test": 20}


def test_names_of_clothes(tmp_path: Path) -> None:
    write_idx(tmp_path / "FashionMNIST" / "raw")
    assert fashion_mnist(root=str(tmp_path)).spec.class_names[9] == "Ankle boot"


def test_cifar10_files(tmp_path: Path) -> None:
    pixels = write_cifar10(tmp_path)
    data = cifar10(root=str(tmp_path))
    train = split(data, "train")
    assert np.array_equal(train.inputs.numpy(), pixels[train.rows].reshape(-1, 3, 32, 32))
    assert data.spec.class_names[3] == "kind 3"
    assert data.record["sizes"] == {"train": 90, "val": 10, "test": 20}
    assert data.train.fingerprint() == cifar10(root=str(tmp_path)).train.fingerprint()


def test_cifar100_files(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    write_batch(folder / "train", 200, "fine_labels", 100)
    write_batch(folder / "test", 100, "fine_labels", 100)
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"fine {i}" for i in range(100)]}, protocol=2))
    data = cifar100(root=str(tmp_path))
    assert data.spec.num_outputs == 100
    assert data.record["sizes"] == {"train": 100, "val": 100, "test": 100}


@pytest.mark.parametrize(
    ("dataset", "where", "name"),
    [
        (mnist, "MNIST/raw", "t10k-labels-idx1-ubyte"),
        (fashion_mnist, "FashionMNIST/raw", "train-images-idx3-ubyte"),
        (cifar10, "cifar-10-batches-py", "data_batch_5"),
        (cifar100, "cifar-100-python", "meta"),
    ],
)
def test_absent_files_are_named_with_their_folder(
    tmp_path: Path, dataset: Callable[..., Data], where: str, name: str
) -> None:
    with pytest.raises(DataError, match=rf"{name}.* in the folder {tmp_path}/{where}, and download is off"):
        dataset(root=str(tmp_path), download=False)


@pytest.mark.parametrize("dataset", [mnist, cifar10])
def test_a_failed_download_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Callable[..., Data]
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # Nothing listens there.
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(DataError, match=r"the download failed \(.*by hand, or set dataset\.root"):
        dataset(root=str(tmp_path))


def test_different_numbers_of_images_and_labels(tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    write_idx(folder, packed=False)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(59) % 10))
    with pytest.raises(DataError, match="60 images, but there are 59 labels"):
        mnist(root=str(tmp_path))


def test_damaged_cifar_files(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    whole = batch.read_bytes()
    for content in (whole[:1000], pickle.dumps([1, 2], protocol=2), pickle.dumps({"labels": [1]}, protocol=2)):
        batch.write_bytes(content)
        with pytest.raises(DataError, match=r"data_batch_2 .*CIFAR file.*Fetch it again"):
            cifar10(root=str(tmp_path))


def test_real_fashion_mnist(tmp_path: Path, shared: Callable[[str], Path]) -> None:
    (tmp_path / "FashionMNIST").mkdir()
    (tmp_path / "FashionMNIST" / "raw").symlink_to(shared("fashion-mnist"))
    data = fashion_mnist(root=str(tmp_path), download=False)
    assert data.record["sizes"] == {"train": 54000, "val": 6000, "test": 10000}
    assert data.test.targets[:4].tolist() == [9, 2, 1, 1]
    assert float(split(data, "train").inputs.float().mean() / 255) == pytest.approx(0.286, abs=0.001)
