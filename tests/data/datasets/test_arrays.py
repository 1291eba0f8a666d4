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
            {"x_train": RNG.random((20, 3, 4, 4, 2)), "y_train": LABELS},
            r"x_train is float64 \[20, 3, 4, 4, 2\]\. Give images",
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
        (RNG.random((20, 7, 3), np.float32), "fcn"),
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


def smooth(count: int, side: int = 12) -> np.ndarray:
    """Gray images [N, side, side] in [0, 1] whose neighboring pixels are alike: a bright square at a random place."""
    images = RNG.random((count, side, side)) * 0.1
    for image in images:
        top, left = RNG.integers(0, side - 5, 2)
        image[top : top + 5, left : left + 5] += 0.8
    return images


@pytest.mark.parametrize("name", ["x_val", "X_valid", "val_images", "x_dev"])
def test_given_validation_samples_are_the_validation_part(tmp_path: Path, name: str):
    labels = {"x_val": "y_val", "X_valid": "Y_valid", "val_images": "val_labels", "x_dev": "y_dev"}[name]
    content = {"x_train": bytes_of(20, 4, 4), "y_train": LABELS, name: bytes_of(6, 4, 4), labels: LABELS[:6]}
    data = arrays(path=save(tmp_path / "a.npz", **content, weights=LABELS))
    assert (len(data.train), len(data.val), len(data.test)) == (16, 6, 4)
    assert np.array_equal(split(data, "val").inputs[:, 0].numpy(), content[name])
    assert data.record["method"] == "stratified test, given val"
    assert data.notes == (f"Not used: the arrays weights of {tmp_path / 'a.npz'}.",)
    with pytest.raises(DataError, match="mean the same"):
        arrays(path=save(tmp_path / "a.npz", **content, x_validation=LABELS))
    with pytest.raises(DataError, match="but y_val is missing"):
        arrays(path=save(tmp_path / "a.npz", **{key: content[key] for key in content if key != labels}))


@pytest.mark.parametrize(
    ("values", "shape", "exact"),
    [
        (np.rint(smooth(20) * 255).astype(np.uint8) / np.float32(255), (1, 12, 12), True),
        (np.rint(smooth(20) * 255).astype(np.int64), (1, 12, 12), True),
        (np.rint(smooth(20) * 255).astype(np.float64), (1, 12, 12), True),
        ((smooth(20) * 60_000).astype(np.uint16), (1, 12, 12), False),
        (RNG.normal(0, 1, (20, 6, 9, 3)), (3, 6, 9), False),
        (RNG.random((20, 3, 6, 9)) > 0.5, (3, 6, 9), False),
    ],
)
def test_images_of_other_types_become_8_bits(tmp_path: Path, values: np.ndarray, shape: tuple[int, ...], exact: bool):
    data = arrays(path=save(tmp_path / "a.npz", x_train=values, y_train=LABELS))
    assert (data.spec.layout, data.spec.input_shape) == (Layout.IMAGE, shape)
    train = split(data, "train")
    assert train.inputs.dtype == torch.uint8
    assert int(train.inputs.max()) == (int(np.rint(values.max() * (255 if values.max() <= 1 else 1))) if exact else 255)
    if exact:
        scale = 255 if values.max() <= 1 else 1
        assert np.array_equal(train.inputs[:, 0].numpy(), np.rint(values[train.rows] * scale))
    assert f"x_train is {values.dtype}" in data.notes[0]
    assert "become 8 bits" in data.notes[0]
    again = arrays(path=str(tmp_path / "a.npz"), fitted=data.fitted)
    assert torch.equal(split(again, "test").inputs, split(data, "test").inputs)


@pytest.mark.parametrize("values", [RNG.random((20, 12, 12)), smooth(20) - 1, smooth(20, 24)[:, :, :10] * 300])
def test_numbers_that_do_not_look_like_images_are_sequences(tmp_path: Path, values: np.ndarray):
    path = save(tmp_path / "a.npz", x_train=values, y_train=LABELS)
    data = arrays(path=path)
    assert data.spec.layout is Layout.SEQUENCE
    assert all("Images: dataset.layout=image" in note for note in data.notes)
    assert arrays(path=path, layout="image").spec.input_shape == (1, *values.shape[1:])
    assert arrays(path=path, layout="vector").spec.input_shape == (values[0].size,)


def test_layout_insists(tmp_path: Path):
    path = save(tmp_path / "a.npz", x_train=smooth(20), y_train=LABELS)
    assert arrays(path=path).spec.layout is Layout.IMAGE
    assert arrays(path=path, layout="sequence").spec.layout is Layout.SEQUENCE
    assert arrays(path=path, layout="by_type").spec.layout is Layout.SEQUENCE
    path = save(tmp_path / "b.npz", x_train=bytes_of(20, 9), y_train=LABELS)
    assert arrays(path=path, layout="sequence").spec.input_shape == (9, 1)
    with pytest.raises(DataError, match="can't be taken as image, as dataset"):
        arrays(path=path, layout="image")
    with pytest.raises(ConfigError, match=r"dataset\.layout is 'images'; it can be auto, image"):
        arrays(path=path, layout="images")


def test_a_checkpoint_of_before_goes_by_the_type(tmp_path: Path):
    path = save(tmp_path / "a.npz", x_train=smooth(20), y_train=LABELS)
    old = {"class_names": ["0", "1"], "shape": [12, 12], "mean": [0.0] * 12, "std": [1.0] * 12}
    assert arrays(path=path, fitted=old).spec.layout is Layout.SEQUENCE


def test_images_of_floats_are_trained_evaluated_and_predicted_alike(ptrun: Callable[..., Ended], folder: Path):
    values, labels = smooth(40).astype(np.float32), np.arange(40) % 2
    save(folder / "a.npz", x_train=values, y_train=labels)
    save(folder / "few.npz", x_train=values[:3], y_train=labels[:3])
    np.save(folder / "new.npy", values[:5])
    np.save(folder / "bytes.npy", np.rint(values[:5] * 255).astype(np.uint8))
    np.save(folder / "other.npy", values[:5] * 255)
    assert ptrun("train", "dataset=arrays", "dataset.path=a.npz", "train.epochs=1", "-q").code == 0
    run = newest_run(folder)
    decisions = json.loads((run / "receipt.json").read_text())["decisions"]
    assert {"setting": "model", "requested": "auto", "used": "convnet"} in decisions
    assert ptrun("eval", f"checkpoint={run}", "dataset.path=few.npz").code == 0
    for name in ("new", "bytes"):
        ended = ptrun("predict", str(run), f"{name}.npy", f"output={name}.csv")
        assert ended.code == 0, ended.err
    assert (folder / "new.csv").read_text() == (folder / "bytes.csv").read_text()
    ended = ptrun("predict", str(run), "other.npy")
    assert ended.code == 3
    assert "on the same scale" in ended.err
