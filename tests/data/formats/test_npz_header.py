"""The layout of a .npz file is known without numpy and torch, and a damaged file has none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ptrun.data.formats.npz_header import array_layout, array_role, layout_in
from ptrun.spec import Layout


@pytest.mark.parametrize(
    ("dtype", "shape", "layout"),
    [
        ("uint8", (2, 4, 4), Layout.IMAGE),
        ("uint8", (2, 4, 4, 3), Layout.IMAGE),
        ("uint8", (2, 4), Layout.VECTOR),
        ("float32", (2, 4), Layout.VECTOR),
        (">i2", (2, 4, 3), Layout.SEQUENCE),
        ("float64", (2, 4, 4, 3), None),
        ("U5", (2, 4), None),
        ("float32", (2,), None),
    ],
)
def test_layouts(tmp_path: Path, dtype: str, shape: tuple[int, ...], layout: Layout | None) -> None:
    x = np.zeros(shape, dtype)
    assert array_layout(x.dtype.str, x.ndim) == layout
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", y_train=np.zeros(2), x_train=x)
        assert layout_in(str(tmp_path / "a.npz"), "by_type") == layout


def test_a_file_that_cannot_be_read_has_no_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    assert layout_in(str(path)) is None
    np.savez(path, x=np.zeros((2, 4)))
    assert layout_in(str(path)) is None
    path.write_bytes(b"not a zip file")
    assert layout_in(str(path)) is None


@pytest.mark.parametrize(
    ("dtype", "shape", "by_header", "by_values"),
    [
        ("float32", (9, 8, 8), None, Layout.SEQUENCE),
        ("uint16", (9, 12, 8), None, Layout.IMAGE),
        ("int64", (9, 8, 8), None, Layout.IMAGE),
        ("float32", (9, 7, 8), Layout.SEQUENCE, Layout.SEQUENCE),
        ("float32", (9, 20, 9), Layout.SEQUENCE, Layout.SEQUENCE),
        ("float16", (9, 4, 4, 3), Layout.IMAGE, Layout.IMAGE),
        ("bool", (9, 1, 4, 4), Layout.IMAGE, Layout.IMAGE),
    ],
)
def test_values_are_read_only_where_they_decide(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], by_header: Layout, by_values: Layout
) -> None:
    levels = np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))  # each image has one level
    values = np.zeros(shape) + levels + (0.5 if dtype == "float32" else 0)
    np.savez(tmp_path / "a.npz", images_train=values.astype(dtype))
    path = str(tmp_path / "a.npz")
    assert layout_in(path) == by_header
    assert layout_in(path, look=True) == by_values
    assert layout_in(path, "vector", look=True) is Layout.VECTOR


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("x_train", ("x", "train")),
        ("Y_VALID", ("y", "val")),
        ("test_labels", ("y", "test")),
        ("train", None),
        ("x_extra", None),
        ("x_train_mean", None),
        ("train_test", None),
    ],
)
def test_what_an_array_is_for(name: str, role: tuple[str, str] | None) -> None:
    assert array_role(name) == role


def test_neither_numpy_nor_torch_is_imported() -> None:
    program = "import sys; import ptrun.data.formats.npz_header; print({'numpy', 'torch'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"
