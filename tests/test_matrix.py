"""Every model on every dataset: a pair that fits trains two steps and is evaluated, others are refused with reasons."""

from __future__ import annotations

import csv
import gzip
import json
import math
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import train

from ptrun.config import schema
from ptrun.errors import ConfigError

RNG = np.random.default_rng(0)

# Small, quick versions of every model. Sizes that depend on the data are not settings.
MODELS: dict[str, list[str]] = {
    "auto": [],
    "simplenet": [],
    "convnet": ["model.hidden_features=32"],
    "regularized": [],
    "lstm": ["model.hidden_features=8"],
    "dlinear": [],
    "nlinear": ["model.individual=true"],
    "patch_transformer": ["model.patch_length=4", "model.patch_stride=2", "model.width=8", "model.num_layers=1"],
    "attention": ["model.width=16", "model.num_layers=1"],
    "transformer": ["model.width=16", "model.num_layers=1"],
    "fcn": ["model.channels=[8,8,8]"],
    "resnet_table": ["model.width=16", "model.num_frequencies=4"],
    "resnet_cifar": ["model.depth=8", "model.width=4"],
    "cifar_net": ["model.channels=[8,8]"],
    "transfer": ["model.arch=mobilenet_v3_small", "model.weights=null"],
    "torchvision": ["model.arch=squeezenet1_1"],
    "timm": ["model.arch=test_resnet"],
}


def idx(path: Path, array: np.ndarray) -> None:
    """Write a file in the format of MNIST (yann.lecun.com/exdb/mnist)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), 1))


def mnist(name: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        for prefix, count in (("train", 60), ("t10k", 20)):
            labels = np.arange(count, dtype=np.uint8) % 10
            idx(
                folder / name / "raw" / f"{prefix}-images-idx3-ubyte.gz",
                RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8),
            )
            idx(folder / name / "raw" / f"{prefix}-labels-idx1-ubyte.gz", labels)
        return [f"dataset.root={folder}", "dataset.download=false", "split.val_fraction=0.4"]

    return make


def cifar(classes: int) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        base = folder / ("cifar-10-batches-py" if classes == 10 else "cifar-100-python")
        base.mkdir()
        train = [f"data_batch_{i}" for i in range(1, 6)] if classes == 10 else ["train"]
        for name in [*train, "test_batch" if classes == 10 else "test"]:
            count = 3 * classes if name == "train" else 20 if classes == 10 else classes
            labels = [i % classes for i in range(count)]
            content = {
                b"data": RNG.integers(0, 256, (count, 3072), dtype=np.uint8),
                (b"labels" if classes == 10 else b"fine_labels"): labels,
            }
            (base / name).write_bytes(pickle.dumps(content, protocol=2))
        names = {
            b"label_names" if classes == 10 else b"fine_label_names": [f"class{i}".encode() for i in range(classes)]
        }
        (base / ("batches.meta" if classes == 10 else "meta")).write_bytes(pickle.dumps(names, protocol=2))
        return [f"dataset.root={folder}", "dataset.download=false", "split.val_fraction=0.4"]

    return make


def photos(folder: Path) -> None:
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        for number in range(10):
            size = (40 + number, 36, 3)
            Image.fromarray(RNG.integers(0, 256, size, dtype=np.uint8)).save(folder / label / f"{number}.jpg")


TRANSFORMS = ["transform=imagenet"] + [
    f"transform.{part}=[{{resize:{{size:[32,32]}}}},{{normalize:{{}}}}]" for part in ("train", "eval")
]


def arrays(folder: Path) -> list[str]:
    labels = np.arange(40) % 2
    np.savez(folder / "a.npz", x_train=RNG.integers(0, 256, (40, 16, 16), dtype=np.uint8), y_train=labels)
    return [f"dataset.path={folder / 'a.npz'}"]


def image_folder(folder: Path) -> list[str]:
    photos(folder)
    return [f"dataset.root={folder}", "train.num_workers=0", "split.val_fraction=0.2", *TRANSFORMS]


def image_list(folder: Path) -> list[str]:
    photos(folder)
    rows = [("path", "label"), *((f"{label}/{i}.jpg", label) for label in ("cat", "dog") for i in range(10))]
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return [f"dataset.path={folder / 'list.csv'}", "train.num_workers=2", "split.val_fraction=0.2", *TRANSFORMS]


def table(folder: Path) -> list[str]:
    lines = ["age,color,income,bought"] + [
        f"{20 + i % 40},{'red' if i % 3 else ''},{i * 1.5 if i % 7 else 'NA'},{'yes' if i % 2 else 'no'}"
        for i in range(60)
    ]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return [f"dataset.path={folder / 't.csv'}", "dataset.target=bought"]


def sequences(folder: Path) -> list[str]:
    rows = [
        ["label", *range(12)],
        *([["up", "down"][i % 2], *(math.sin(i + t) + (t if i % 2 else -t) for t in range(12))] for i in range(40)),
    ]
    with (folder / "s.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return [f"dataset.path={folder / 's.csv'}", "split.val_fraction=0.2"]


DATASETS: dict[str, Callable[[Path], list[str]]] = {
    **dict.fromkeys(("digits", "iris", "wine", "breast_cancer", "diabetes"), lambda folder: []),
    "mnist": mnist("MNIST"),
    "fashion_mnist": mnist("FashionMNIST"),
    "cifar10": cifar(10),
    "cifar100": cifar(100),
    "arrays": arrays,
    "image_folder": image_folder,
    "image_list": image_list,
    "table": table,
    "series": lambda folder: ["dataset.window=10", "dataset.horizon=2"],
    "sequences": sequences,
    "recall": lambda folder: ["dataset.length=6", "dataset.num_sequences=100"],
}


def test_the_matrix_has_every_model_and_dataset():
    assert set(MODELS) == set(schema.names("model"))
    assert set(DATASETS) == set(schema.names("dataset"))


def fits(model: str, gives: tuple[str, ...]) -> bool:
    """Whether a model fits data, by the YAML files: it reads the layout, and has the task of the data or any task."""
    facts = schema.require("model", model).facts
    return gives[0] in facts["accepts"] and facts.get("task", gives[-1:]) == gives[-1:]


def may_fit(model: str, gives: tuple[str, ...]) -> bool:
    """Whether it fits one of the layouts that a dataset may have, which is what is known before the data are read."""
    return any(fits(model, (layout, gives[-1])) for layout in gives[:-1])


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("model", MODELS)
def test_pair(folder: Path, model: str, dataset: str):
    (folder / "data").mkdir()
    components = [f"model={model}", f"dataset={dataset}", *MODELS[model], *DATASETS[dataset](folder / "data")]
    overrides = [*components, "train.epochs=1", "train.max_steps=2", "train.batch_size=8"]
    gives = schema.require("dataset", dataset).facts["gives"]
    if not fits(model, gives):
        with pytest.raises(ConfigError) as caught:
            train(*overrides, quiet=True)
        fitting = [name for name in schema.names("model") if fits(name, gives)]
        assert re.search(f"model: '{model}' (reads|is for) .*, but dataset '{dataset}' (gives|is) ", str(caught.value))
        possible = [name for name in schema.names("model") if may_fit(name, gives)]
        assert any(f"Models that fit: {', '.join(names)}." in str(caught.value) for names in (fitting, possible))
        return
    result = train(*overrides, quiet=True)
    document = json.loads((result.run_dir / "test" / "metrics.json").read_text())
    assert math.isfinite(document["loss"])
    assert document["metrics"]
    assert result.summary["steps"] == 2
