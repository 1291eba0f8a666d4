"""The arrays of a file and their roles; pickled objects are refused."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptrun.data.formats import npz_file
from ptrun.data.formats.npz_file import array_names, arrays_by_role, load_arrays, open_array
from ptrun.errors import DataError

ONE = np.ones(1)


def test_roles_and_arrays_without_one():
    by_role, notes = arrays_by_role(Path("a.npz"), {"X_train": ONE, "train_labels": ONE, "mean": ONE})
    assert by_role == {("x", "train"): "X_train", ("y", "train"): "train_labels"}
    assert notes == ["Not used: the arrays mean of a.npz."]
    with pytest.raises(DataError, match="x_train and y_train are missing"):
        arrays_by_role(Path("a.npz"), {})


def test_objects_are_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=np.array([object()]))
    with pytest.raises(DataError, match="it holds Python objects"):
        load_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", "<f8", ">f4", "?"])
def test_one_array_is_read_where_it_is_used(tmp_path: Path, save: Any, order: str, dtype: str) -> None:
    values = np.asarray(np.arange(60).reshape(5, 3, 4) % 2, dtype, order=order)  # type: ignore[call-overload]
    save(tmp_path / "a.npz", y=np.arange(5), x=values)
    array = open_array(tmp_path / "a.npz", "x")
    assert array.dtype == values.dtype
    assert np.array_equal(array, values)
    assert isinstance(array, np.memmap) is (save is np.savez)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_compressed_array_is_unpacked_into_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Any
) -> None:
    monkeypatch.setattr(npz_file, "_UNPACKED_BYTES", 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "unpacked"))
    (tmp_path / "unpacked").mkdir()
    values = np.asarray(np.arange(600.0).reshape(10, 60), order=order)
    np.savez_compressed(tmp_path / "a.npz", y=np.arange(5), x=values)
    array = open_array(tmp_path / "a.npz", "x")
    assert isinstance(array, np.memmap)
    assert np.array_equal(array, values)
    assert list((tmp_path / "unpacked").iterdir()) == [], "no file is left behind"
    assert not isinstance(open_array(tmp_path / "a.npz", "y"), np.memmap)


def test_a_damaged_array_is_noticed_before_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((1000, 8)))
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC-32"):
        open_array(path, "x")


def test_arrays_without_numbers_in_place(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", empty=np.zeros((0, 3)), text=np.array(["a", "b"]), one=np.float64(3))
    assert array_names(tmp_path / "a.npz") == ["empty", "text", "one"]
    assert open_array(tmp_path / "a.npz", "empty").shape == (0, 3)
    assert open_array(tmp_path / "a.npz", "text").tolist() == ["a", "b"]
    assert open_array(tmp_path / "a.npz", "one") == 3
    np.savez(tmp_path / "b.npz", x=np.array([object()], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        open_array(tmp_path / "b.npz", "x")
