"""Unusable data end a command with exit code 3 and a message that names them; unusual but usable data train."""

from __future__ import annotations

import json
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faulty import LEAN, assert_whole, done, latest, ptrun, refused, runs
from PIL import Image

pytestmark = pytest.mark.faults
RUN = ("train", "train.epochs=1", "device.threads=1", "model=simplenet", *LEAN)
PLUGIN = """
import torch
from torch import nn
from ptrun.registry import datasets, models
from ptrun.data.dataset import Data
from ptrun.data.splits import TensorSplit
from ptrun.spec import DataSpec, Layout, Task

N = torch.arange(40)
TARGETS = {
    "minus": N % 2 - 1,
    "beyond": N % 3,
    "float": N % 2 + 0.5,
    "column": (N % 2)[:, None],
    "flat": N / 40,
    "matrix": N[:, None] / 40,
}


def split(targets):
    return TensorSplit(torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), targets, N)


@datasets.register
def raw(*, fitted=None, kind: str = "minus"):
    if kind in ("flat", "matrix"):
        target = {"task": Task.REGRESSION, "num_outputs": 1, "target_names": ("y",)}
    else:
        target = {"task": Task.CLASSIFICATION, "num_outputs": 2, "class_names": ("a", "b")}
    spec = DataSpec(layout=Layout.VECTOR, input_shape=(3,), **target)
    data = split(TARGETS[kind])
    return Data(spec=spec, train=data, val=data, test=data)


@models.register
def flat(spec):
    return nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve small photos of two classes each."""
    pixels = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            image = Image.fromarray(pixels.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            image.save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


def bomb(width: int, height: int) -> bytes:
    """A PNG file whose header claims this size, without pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda content: content[: len(content) // 2], "is damaged"),
    "empty": (lambda content: b"", "is empty (0 bytes)"),
    "a web page": (lambda content: b"<!DOCTYPE html><html>404</html>", "is a web page, not an image"),
    "400 megapixels": (
        lambda content: bomb(20_000, 20_000),
        "has 20000 x 20000 = 400,000,000 pixels; more than 89,478,485",
    ),
    "144 megapixels": (
        lambda content: bomb(12_000, 12_000),
        "has 12000 x 12000 = 144,000,000 pixels; more than 89,478,485",
    ),
}


@pytest.mark.parametrize(("how", "workers"), [*((how, 0) for how in BROKEN), ("cut", 2)])
def test_one_broken_image(tmp_path: Path, photos: Path, how: str, workers: int):
    change, sentence = BROKEN[how]
    path = photos / "dog" / "5.png"
    path.write_bytes(change(path.read_bytes()))
    settings = ("dataset=image_folder", "dataset.root=photos", f"train.num_workers={workers}")
    ended = ptrun(tmp_path, *RUN, *settings)
    assert ended.code == 3, (ended.code, ended.err)
    assert f"dog/5.png {sentence}" in ended.err
    assert json.loads((runs(tmp_path)[-1] / "status.json").read_text())["exit_code"] == 3


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda photos: [path.unlink() for path in photos.rglob("*.png")], "has no image"),
        (lambda photos: (photos / "bird").mkdir(), "the class folder 'bird' has no image"),
        (lambda photos: [path.rename(photos / path.name) for path in photos.glob("*/*.png")], "has no image"),
    ],
)
def test_folders_without_images(tmp_path: Path, photos: Path, make: Callable[[Path], object], sentence: str):
    make(photos)
    assert sentence in refused(tmp_path, 3, *RUN, "dataset=image_folder", "dataset.root=photos")


X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
HALF = np.arange(40) % 2


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x_train": X[:0], "y_train": HALF[:0]}, "x_train is empty: its shape is [0, 3]"),
        ({"x_train": X, "y_train": HALF + 0.5}, "y_train is float64 [40]; one class number or name"),
        ({"x_train": X, "y_train": np.where(HALF == 1, np.nan, 0)}, "y_train is float64"),
        ({"x_train": X, "y_train": HALF[:39]}, "39"),
        ({"x_train": X, "y_train": HALF * 0}, "classification needs at least two"),
        ({"x_train": X, "y_train": HALF, "x_test": X[:4], "y_test": np.array([0, 1, 2, 0])}, "'2' (1), first in row 2"),
        (
            {"x_train": X, "y_train": HALF, "x_test": X[:4], "y_test": np.array([0, 1, -1, 0])},
            "'-1' (1), first in row 2",
        ),
        ({"x_train": np.where(X > 2, np.nan, X), "y_train": HALF}, "x_train"),
        ({"x_train": X.astype(object), "y_train": HALF}, "it holds Python objects, which are refused"),
    ],
)
def test_arrays_that_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str):
    np.savez(tmp_path / "a.npz", **arrays)
    message = refused(tmp_path, 3, *RUN, "dataset=arrays", "dataset.path=a.npz")
    assert "a.npz" in message
    assert sentence in message


def test_a_pickle_in_place_of_arrays(tmp_path: Path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"x_train": X, "y_train": HALF}))
    message = refused(tmp_path, 3, *RUN, "dataset=arrays", "dataset.path=a.pkl")
    assert "a.pkl can't be read as a .npz file of plain arrays: it holds Python objects, which are refused" in message


def test_minus_one_is_the_name_of_a_class(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x_train=X, y_train=np.arange(40) % 3 - 1)
    run_dir = done(tmp_path, *RUN, "dataset=arrays", "dataset.path=a.npz")
    assert (run_dir / "test" / "predictions.csv").read_text().count("-1") > 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("a,y\n", "no data rows"),
        ("a,y\n1,0\n2,1\n", "at least 3 are needed, one for each of train, val and test"),
    ],
)
def test_tables_without_rows(tmp_path: Path, text: str, sentence: str):
    (tmp_path / "t.csv").write_text(text)
    assert sentence in refused(tmp_path, 3, *RUN, "dataset=table", "dataset.path=t.csv", "dataset.target=y")


@pytest.mark.parametrize(
    ("kind", "model", "sentence"),
    [
        ("minus", "simplenet", "row 0 of the train split has the target -1; expected a whole number from 0 to 1"),
        ("beyond", "simplenet", "row 2 of the train split has the target 2; expected a whole number from 0 to 1"),
        ("float", "simplenet", "targets of the train split are float32 [40]; expected int64 [N]"),
        ("column", "simplenet", "targets of the train split are int64 [40, 1]; expected int64 [N]"),
        ("flat", "simplenet", "targets of the train split are float32 [40]; expected float32 [N, 1]"),
        ("matrix", "flat", "The outputs have shape [32] and the targets [32, 1]"),
    ],
)
def test_targets_of_ones_own_data(tmp_path: Path, kind: str, model: str, sentence: str):
    (tmp_path / "mine.py").write_text(PLUGIN)
    settings = ("plugins=[mine.py]", "dataset=raw", f"dataset.kind={kind}", f"model={model}")
    assert sentence in refused(tmp_path, 3, "train", "train.epochs=1", *settings)


def test_a_batch_larger_than_the_data(tmp_path: Path):
    message = refused(tmp_path, 3, *RUN, "train.batch_size=5000", "train.drop_last=true")
    assert "1259 samples, which give no batch of 5000" in message
    assert_whole(done(tmp_path, *RUN, "train.batch_size=5000"))


@pytest.mark.parametrize("model", ["regularized", "simplenet"])
def test_a_last_batch_of_one(tmp_path: Path, model: str):
    """Batch norm can't train on it, so ptrun leaves it out and says so; other models train on it."""
    ended = ptrun(tmp_path, *RUN, f"model={model}", "train.batch_size=1258")
    assert ended.code == 0, ended.err
    assert ("it has one sample" in ended.out + ended.err) == (model == "regularized")
    assert json.loads((latest(tmp_path) / "summary.json").read_text())["steps"] == (1 if model == "regularized" else 2)
