"""Arrays of a file or of a program are inputs when they have the shape of the training samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ptrun.data.formats.array_images import scale_of
from ptrun.data.inputs.arrays import ArrayRows, images_of, read_inputs, require_shape, shaped_like
from ptrun.data.inputs.images import ImagePreparation, ImagesInMemory
from ptrun.errors import DataError
from ptrun.transforms.pipeline import Pipeline


def test_rows_are_standardized_and_non_finite_ones_left_out():
    values = np.array([[1.0, 2.0], [np.nan, 0.0], [3.0, 4.0]])
    (chunk,) = ArrayRows(values, np.array([1.0, 2.0]), np.array([2.0, 4.0]), batch_size=5).chunks(0)
    assert chunk.inputs.tolist() == [[0.0, 0.0], [1.0, 0.5]]
    assert "non-finite" in chunk.problems[1]
    assert chunk.names == ["row 0", "row 1", "row 2"]
    (_, last) = ArrayRows(values, np.array([1.0, 2.0]), np.array([2.0, 4.0]), batch_size=2).chunks(0)
    assert (last.names, last.inputs.tolist()) == (["row 2"], [[1.0, 0.5]])


def test_which_array_of_a_file(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x_test=np.ones(2), y_test=np.zeros(2))
    assert read_inputs(tmp_path / "a.npz").tolist() == [1, 1]
    np.savez(tmp_path / "e.npz", x_train=np.ones(4), x_test=np.zeros(2), y_test=np.ones(2))
    assert len(read_inputs(tmp_path / "e.npz")) == 2
    np.savez(tmp_path / "f.npz", train_images=np.ones(4), test_images=np.zeros(2), test_labels=np.ones(2))
    assert len(read_inputs(tmp_path / "f.npz")) == 2
    np.savez(tmp_path / "b.npz", whatever=np.ones(3))
    assert len(read_inputs(tmp_path / "b.npz")) == 3
    np.savez(tmp_path / "c.npz", p=np.ones(3), q=np.ones(3))
    with pytest.raises(DataError, match="has the arrays p, q"):
        read_inputs(tmp_path / "c.npz")
    (tmp_path / "d.npy").write_bytes(b"x")
    with pytest.raises(DataError, match=r"can't be read as a \.npy file"):
        read_inputs(tmp_path / "d.npy")


def test_other_shapes_are_refused():
    with pytest.raises(DataError, match="was trained on numbers"):
        require_shape(np.zeros((4, 3)), (5,), "a.npy")
    with pytest.raises(DataError, match="was trained on numbers"):
        require_shape(np.array([["a"] * 5]), (5,), "a.npy")


@pytest.mark.parametrize("shape", [(2, 6, 5, 3), (2, 3, 6, 5)])
def test_images_have_their_channels_first(shape: tuple[int, ...]):
    assert [tuple(image.shape) for image in images_of(np.zeros(shape, np.uint8), "auto", None, "a")] == [(3, 6, 5)] * 2


def test_images_of_floats_are_refused_by_a_model_of_bytes():
    with pytest.raises(DataError, match="images are uint8"):
        images_of(np.zeros((2, 6, 5)), "auto", None, "a")


def test_images_of_floats_are_scaled_as_in_training():
    values = np.array([[[0.0, 0.5], [1.0, 2.0]]], np.float32)
    (image,) = images_of(values, "auto", [0, 1], "a")
    assert image.tolist() == [[[0, 128], [255, 255]]]
    with pytest.raises(DataError, match="a: row 0 holds a number that is non-finite"):
        images_of(values * np.float32("nan"), "auto", [0, 1], "a")
    with pytest.raises(DataError, match="a holds"):
        images_of(values[0], "auto", [0, 1], "a")


def test_samples_get_the_layout_of_the_training():
    assert shaped_like(np.zeros((4, 3, 2)), {"layout": "vector"}).shape == (4, 6)
    assert shaped_like(np.zeros((4, 3)), {"layout": "sequence"}).shape == (4, 3, 1)
    assert shaped_like(np.zeros((4, 3)), {}).shape == (4, 3)


def test_images_in_a_large_array_are_converted_some_at_a_time():
    values = np.zeros((6, 4, 4), np.uint8)
    values[5] = 9
    converted: list[int] = []

    def convert(some: NDArray[np.uint8], first_row: int) -> list[torch.Tensor]:
        converted.append(first_row)
        return images_of(some, "auto", scale_of(values, [0, 1]), "a", first_row)

    source = ImagesInMemory(values, ImagePreparation(Pipeline([]), (1, 4, 4)), 2, convert=convert)
    chunks = source.chunks(2)
    first = next(chunks)
    assert (first.names, converted) == (["row 2", "row 3"], [2])
    (last,) = chunks
    assert last.inputs[1].mul(255).round().eq(9).all(), "one dark part of an array of bytes is not in another range"
    values[5] = 1
    floats = values.astype(np.float32)
    floats[5] = np.nan
    with pytest.raises(DataError, match="a: row 5 holds a number that is non-finite"):
        images_of(floats[4:], "auto", [0, 1], "a", 4)
