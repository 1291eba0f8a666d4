"""Arrays of a .npz file become images, vectors or sequences; any other file is refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import Ended, newest_evaluation, newest_run

from ptrun.data.dataset import Data
from ptrun.data.datasets.arrays import arrays
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError, DataError
from ptrun.spec import Layout

RNG = np.random.default_rng(0)
LABELS = np.arange(20) % 2


def save(path: Path, **content: Any) -> str:
    np.savez(path, **content)
    return str(path)


def split(data: Data, part: str) -> TensorSplit:
    samples = getattr(data, part)
    assert isinstance(samples, TensorSplit)
    return samples


def bytes_of(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "axis", "expected"),
    [
        ((6, 5), "auto", (1, 6, 5)),
        ((6, 5, 3), "auto", (3, 6, 5)),
        ((6, 5, 1), "auto", (1, 6, 5)),
        ((3, 6, 5), "auto", (3, 6, 5)),
        ((3, 6, 3), "auto", (3, 3, 6)),
        ((3, 6, 3), "first", (3, 6, 3)),
        ((6, 5, 4), "auto", (4, 6, 5)),
    ],
)
def test_images_get_their_channels_first(tmp_path: Path, shape: tuple[int, ...], axis: str, expected: tuple[int, ...]):
    images = bytes_of(20, *shape)
    data = arrays(path=save(tmp_path / "a.npz", x_train=images, y_train=LABELS), channel_axis=axis)
    assert data.spec.layout is Layout.IMAGE
    assert data.spec.input_shape == expected
    train = split(data, "train")
    assert train.inputs.dtype == torch.uint8
    source = images[train.rows[0]]
    moved = source[None] if source.ndim == 2 else source if source.shape == expected else source.transpose(2, 0, 1)
    assert np.array_equal(train.inputs[0].numpy(), source if axis == "first" else moved)


def test_given_test_samples_are_the_test_part(tmp_path: Path):
    images, other = bytes_of(20, 4, 4), bytes_of(6, 4, 4)
    names = np.array(["cat", "dog"])
    path = save(tmp_path / "a.npz", x_train=images, y_train=names[LABELS], x_test=other, y_test=names[[1, 0] * 3])
    data = arrays(path=path)
    assert data.spec.class_names == ("cat", "dog")
    assert (len(data.train), len(data.val), len(data.test)) == (18, 2, 6)
    assert np.array_equal(split(data, "test").inputs[:, 0].numpy(), other)
    assert data.test.targets.tolist() == [1, 0] * 3


@pytest.mark.parametrize(("shape", "layout"), [((4,), Layout.VECTOR), ((7, 4), Layout.SEQUENCE)])
def test_numbers_are_standardized_with_the_training_samples(tmp_path: Path, shape: tuple[int, ...], layout: Layout):
    values = RNG.normal(5, 3, (20, *shape))
    data = arrays(path=save(tmp_path / "a.npz", x_train=values, y_train=LABELS))
    assert data.spec.layout is layout
    train = split(data, "train").inputs
    assert train.dtype == torch.float32
    flat = train.reshape(-1, 4)
    torch.testing.assert_close(flat.mean(0), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(flat.std(0, correction=0), torch.ones(4), atol=1e-6, rtol=0)
    again = arrays(path=str(tmp_path / "a.npz"), fitted=data.fitted | {"mean": [0.0] * 4, "std": [1.0] * 4})
    row = split(again, "test").rows[0]
    assert torch.equal(split(again, "test").inputs[0], torch.from_numpy(values[row]).float())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"x_train": bytes_of(20, 4, 4)}, r"has the arrays x_train, but y_train is missing"),
        ({"x_train": bytes_of(9, 4, 4), "y_train": LABELS}, r"x_train has the shape \[9, 4, 4\], but y_train has 20"),
        (
            {"x_train": RNG.random((20, 3, 4, 4)), "y_train": LABELS},
            r"x_train is float64 \[20, 3, 4, 4\]\. Give images",
        ),
        (
            {"x_train": bytes_of(20, 4), "y_train": RNG.random(20)},
            r"y_train is float64 \[20\]; one class number or name",
        ),
        ({"x_train": np.full((20, 2), np.nan), "y_train": LABELS}, r"x_train\[0, 0\] is non-finite"),
        (
            {"x_train": bytes_of(20, 4), "y_train": np.array([object()] * 20)},
            r"can't be read as a \.npz file of plain arrays: it holds Python objects, which are refused",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path: Path, content: dict[str, Any], words: str):
    with pytest.raises(DataError, match=words):
        arrays(path=save(tmp_path / "a.npz", **content))


def test_test_samples_of_another_shape_are_named(tmp_path: Path):
    path = save(
        tmp_path / "a.npz",
        x_train=RNG.random((20, 3)),
        y_train=LABELS,
        x_test=RNG.random((4, 5)),
        y_test=LABELS[:4],
    )
    with pytest.raises(DataError, match=r"samples of shape \[5\], but the training samples have the shape \[3\]"):
        arrays(path=path)


def test_other_files_and_settings_are_refused(tmp_path: Path):
    (tmp_path / "a.npz").write_bytes(b"no zip")
    np.save(tmp_path / "b.npy", LABELS)
    for name in ("a.npz", "b.npy"):
        with pytest.raises(DataError, match=rf"{name} can't be read .*: it is another kind of file"):
            arrays(path=str(tmp_path / name))
    with pytest.raises(ConfigError, match=r"dataset\.channel_axis is 'middle'; it can be auto, first or last"):
        arrays(path=str(tmp_path / "a.npz"), channel_axis="middle")


@pytest.mark.parametrize(
    ("samples", "model"),
    [
        (bytes_of(20, 8, 8), "convnet"),
        (bytes_of(20, 8, 8, 3), "convnet"),
        (RNG.random((20, 5)), "simplenet"),
        (bytes_of(20, 5), "simplenet"),
        (RNG.random((20, 7, 3), np.float32), "lstm"),
    ],
)
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_the_file_decides_which_model_auto_takes(
    ptrun: Callable[..., Ended], folder: Path, samples: np.ndarray, model: str, write: Callable[..., None]
):
    write(folder / "a.npz", x_train=samples, y_train=LABELS)
    ended = ptrun("train", "dataset=arrays", "dataset.path=a.npz", "train.max_steps=1", "-q")
    assert ended.code == 0, ended.err
    decisions = json.loads((newest_run(folder) / "receipt.json").read_text())["decisions"]
    assert {"setting": "model", "requested": "auto", "used": model} in decisions


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_file_without_a_layout_is_explained_by_its_reader(ptrun: Callable[..., Ended], folder: Path, content: bytes):
    if content is not None:
        (folder / "a.npz").write_bytes(content)
    ended = ptrun("train", "dataset=arrays", "dataset.path=a.npz")
    assert ended.code == 3
    assert "a.npz" in ended.err


def test_new_data_are_evaluated_whole(ptrun: Callable[..., Ended], folder: Path):
    x, y = RNG.normal(0, 1, (40, 3)), np.arange(40) % 2
    save(folder / "old.npz", x_train=x, y_train=y)
    save(folder / "new.npz", x_train=x[:10], y_train=y[:10])
    assert ptrun("train", "dataset=arrays", "dataset.path=old.npz", "model=simplenet", "train.epochs=1", "-q").code == 0
    ended = ptrun("eval", f"checkpoint={newest_run(folder)}", "dataset.path=new.npz")
    assert ended.code == 0, ended.err
    assert json.loads((newest_evaluation(folder) / "metrics.json").read_text())["num_samples"] == 10
